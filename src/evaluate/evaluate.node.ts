import { basename, resolve } from "node:path";
import { writeConversations } from "../chat/template.node.ts";
import { checkCallback, checkKeys, checkLanguageModel, checkText } from "../core/checks/check-arguments.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import { loadCorpus } from "../data/corpora.node.ts";
import { hasDocuments, loadDocuments, readDocuments } from "../data/documents.node.ts";
import type { DocumentsSplit } from "../data/documents.ts";
import { locatedDocuments } from "../data/given-documents.ts";
import type { GivenDocument } from "../data/parse-document.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { wholeText } from "../pretrained/model/whole-text.ts";
import { measuredDocuments } from "./documents.ts";
import type { Evaluation } from "./evaluate.ts";
import { checkSplit, evaluateCorpus, type Measuring, type SplitName } from "./evaluate-corpus.ts";

/** Options of `evaluate`. */
export interface EvaluateOptions extends Measuring {
  /**
   * The data to evaluate on: the name of a corpus, a UTF-8 text file, a folder of text files, or documents (`.jsonl`).
   * Default: as for `train`.
   */
  readonly data?: string | undefined;
  /** The text itself, instead of `data`. The whole text is used. */
  readonly text?: string | undefined;
  /** Documents instead of `data`, in the format for `train`. All documents are used. */
  readonly documents?: readonly GivenDocument[] | undefined;
  /** Fraction of the text for the `val` split, which is the end of the text. In (0, 1). Default 0.1. */
  readonly valFraction?: number | undefined;
  /**
   * Receives notices for the user, for example that another text is used. A notice is one line. The evaluation waits
   * for a returned promise.
   */
  readonly onNotice?: (line: string) => void;
}

/** @throws ConfigError for an option that cannot be used when the whole text is used. */
const checkGivenText = ({ data, text, documents, valFraction, split }: EvaluateOptions): void => {
  const name = text === undefined ? "documents" : "text";
  const others = { data, ...(text === undefined ? {} : { documents }), valFraction, split };
  const other = Object.entries(others).find(
    ([name, value]) => value !== undefined && !(name === "split" && value === "all"),
  );
  if (other === undefined) return;
  throw new ConfigError({
    where: `${name} and ${other[0]}`,
    must:
      text === undefined
        ? "only one of them may be given: an evaluation on given documents uses all documents"
        : "only one of them may be given: an evaluation on a given text uses the whole text",
    got: "both",
    hint: "one of them",
  });
};

/** Loads the documents at a path. Without a split, all documents are used, and one document is enough. */
export const documentsToMeasure = async (
  data: string,
  split: SplitName | undefined,
  valFraction: number | undefined,
): Promise<DocumentsSplit & { readonly name: string; readonly notice?: string | undefined }> => {
  if (split !== undefined && split !== "all") return loadDocuments(data, { valFraction });
  checkSplit("all", valFraction);
  const { documents, notice } = await readDocuments(data);
  return { name: basename(resolve(data)), train: [], val: documents, notice };
};

/**
 * Computes a model's cross-entropy on a text. Every token after the first is predicted once, in windows that do not
 * overlap. For documents, the loss counts the tokens of answers and plain texts. Each document is evaluated alone.
 * @param lm a model of `loadPretrained` or `languageModel`.
 * @param options text and split.
 * @throws ConfigError for options that cannot be combined or a loss that is not finite; DataError for an unusable text,
 * or for a character that the tokenizer lacks (except with `unknown: "skip"`).
 * @example
 * ```ts
 * import { evaluate, loadPretrained } from "foretoken";
 *
 * const lm = await loadPretrained("runs/notes/best");
 * const { natsPerToken, bitsPerByte } = await evaluate(lm, { data: "notes.txt" });
 * console.log(natsPerToken, bitsPerByte, await evaluate(lm, { text: "The end." }));
 * await lm.close();
 * ```
 */
export const evaluate = async (lm: LanguageModel, options: EvaluateOptions = {}): Promise<Evaluation> => {
  checkLanguageModel("evaluate: model", lm, "the model's own method, lm.evaluate(await loadCorpus(path))");
  checkKeys("evaluate", options, [
    "data",
    "text",
    "documents",
    "valFraction",
    "onNotice",
    "split",
    "unknown",
    "contextLength",
    "windows",
    "signal",
    "onProgress",
  ]);
  checkCallback("evaluate: onNotice", options.onNotice);
  const { data, text, documents, valFraction, onNotice, ...measuring } = options;
  if (text !== undefined || documents !== undefined) checkGivenText(options);
  const { split, unknown, ...rest } = measuring;
  if (text !== undefined) return evaluateCorpus(lm, ...wholeText({ text, unknown, ...rest }));
  if (documents !== undefined) {
    if (!Array.isArray(documents)) {
      throw new ConfigError({ where: "documents", must: "must be a list of documents", got: show(documents) });
    }
    const given = { name: "documents", train: [], val: locatedDocuments(documents, "documents") };
    return evaluateCorpus(lm, await measuredDocuments(lm, given, "all", unknown, writeConversations), rest);
  }
  checkSplit(split, valFraction);
  if (data !== undefined) checkText("data", data);
  if (data !== undefined && (await hasDocuments(data))) {
    const { notice, ...found } = await documentsToMeasure(data, split, valFraction);
    if (notice !== undefined) await onNotice?.(notice);
    return evaluateCorpus(lm, await measuredDocuments(lm, found, split ?? "all", unknown, writeConversations), rest);
  }
  const corpus = await loadCorpus(data, { valFraction });
  if (corpus.notice !== undefined) await onNotice?.(corpus.notice);
  return evaluateCorpus(lm, corpus, measuring);
};
