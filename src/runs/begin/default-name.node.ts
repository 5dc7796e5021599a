/** Default names of run folders. */
import { parse, resolve } from "node:path";
import { defaultPreset } from "../../config/presets.ts";
import { isCorpusName } from "../../data/corpora.node.ts";

/** Options of a new run that determine the data and the model. */
interface DataNames {
  readonly data?: string | undefined;
  readonly text?: string | undefined;
  readonly documents?: unknown;
  readonly initFrom?: string | undefined;
}

/**
 * Whether the run uses a text or a model of the user. The default configuration then depends on the text or the model.
 */
export const hasOwnParts = ({ data, text, documents, initFrom }: DataNames): boolean =>
  text !== undefined ||
  documents !== undefined ||
  initFrom !== undefined ||
  (data !== undefined && !isCorpusName(data));

/**
 * Makes a part of a folder name from the name of a text. Letters (with their marks, such as Hindi vowels) and digits
 * stay. Hyphens replace all other characters.
 */
const nameOfText = (data: string): string => {
  const { name } = parse(resolve(data));
  const words = name.normalize("NFC").match(/[\p{L}\p{N}][\p{L}\p{M}\p{N}]*/gu) ?? [];
  return [...words.join("-")].slice(0, 40).join("").replace(/-$/u, "") || "text";
};

/**
 * Makes the name `<time>-<text>`, with the UTC time to the second. If the preset is not the default preset, the name
 * ends with `-<preset>`. (The name of the default preset would look like the name of a text.)
 * @param text name or path of the text.
 */
export const defaultRunName = (text: string, preset?: string): string => {
  const time = new Date().toISOString().slice(0, 19).replaceAll(":", "").replace("T", "-");
  return [time, nameOfText(text), ...(preset === undefined || preset === defaultPreset ? [] : [preset])].join("-");
};
