/** Names of run folders where none is given. */
import { parse, resolve } from "node:path";
import { defaultPreset } from "../../config/presets.ts";
import { isCorpusName } from "../../data/corpora.node.ts";

/** Options of a new run that say what it is trained on. */
interface DataNames {
  readonly data?: string | undefined;
  readonly text?: string | undefined;
  readonly documents?: unknown;
  readonly initFrom?: string | undefined;
}

/** Whether the defaults follow from the text, or from the model that is given: neither comes with the program. */
export const hasOwnParts = ({ data, text, documents, initFrom }: DataNames): boolean =>
  text !== undefined ||
  documents !== undefined ||
  initFrom !== undefined ||
  (data !== undefined && !isCorpusName(data));

/** A text's name as a part of a folder's: letters with their marks, as vowels of Hindi, digits and hyphens. */
const nameOfText = (data: string): string => {
  const { name } = parse(resolve(data));
  const words = name.normalize("NFC").match(/[\p{L}\p{N}][\p{L}\p{M}\p{N}]*/gu) ?? [];
  return [...words.join("-")].slice(0, 40).join("").replace(/-$/u, "") || "text";
};

/**
 * `<time>-<text>`, with the time of day in UTC to the second, and `-<preset>` after it for another preset than the default
 * one, whose name would pass for that of a text.
 * @param text the name of the text, or its path.
 */
export const defaultRunName = (text: string, preset?: string): string => {
  const time = new Date().toISOString().slice(0, 19).replaceAll(":", "").replace("T", "-");
  return [time, nameOfText(text), ...(preset === undefined || preset === defaultPreset ? [] : [preset])].join("-");
};
