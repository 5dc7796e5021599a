/** Data for an evaluation on a platform without files: a text or documents. */
import { writeHere } from "../chat/write-here.ts";
import { checkTextOptions } from "../config/options.ts";
import { checkKeys, checkOptions } from "../core/checks/check-arguments.ts";
import { locatedDocuments } from "../data/given-documents.ts";
import type { GivenDocument } from "../data/parse-document.ts";
import { wholeText } from "../pretrained/model/whole-text.ts";
import { type DocumentReader, measuredDocuments } from "./documents.ts";
import type { MeasuredCorpus, MeasuredText, Measuring } from "./evaluate-corpus.ts";

/** Options of `evaluate`. */
export interface EvaluateOptions extends Omit<MeasuredText, "text"> {
  /** The text to evaluate on: at least two tokens. The whole text is used. Give either `text` or `documents`. */
  readonly text?: string | undefined;
  /** Documents instead of a text, in the format for `train`. In conversations, the loss counts only the answers. */
  readonly documents?: readonly GivenDocument[] | undefined;
}

/**
 * The arguments for an evaluation on given data.
 * @param lm the model for which documents are encoded.
 */
export const dataToMeasure = async (
  lm: DocumentReader,
  options: EvaluateOptions,
): Promise<readonly [corpus: MeasuredCorpus, measuring: Measuring]> => {
  checkOptions("evaluate: options", options);
  const { text, documents, ...measuring } = options;
  if (documents === undefined) return wholeText({ ...options, text: text as string });
  checkKeys("evaluate", options, ["text", "documents", "unknown", "contextLength", "signal", "onProgress"]);
  checkTextOptions({ text, documents });
  const { unknown, ...rest } = measuring;
  const given = { name: "documents", train: [], val: locatedDocuments(documents, "documents") };
  return [await measuredDocuments(lm, given, "all", unknown, writeHere), rest];
};
