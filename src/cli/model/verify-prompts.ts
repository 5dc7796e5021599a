/** Finds the text for `verify`, and cuts prompts from this text. */
import { ConfigError, ForetokenError } from "../../core/errors/errors.ts";
import { randomKey, randomStream } from "../../core/random.ts";
import { loadCorpus } from "../../data/corpora.node.ts";
import type { Corpus } from "../../data/corpus.ts";
import { hasDocuments } from "../../data/documents.node.ts";
import type { LanguageModel } from "../../pretrained/model/language-model.ts";
import { runOf } from "./checkpoint-path.ts";

/** Maximum tokens of a prompt. A short prompt and its continuation fit into a small context. */
const promptTokens = 32;
/** Number of characters. In nearly any text, this number of characters has at least `promptTokens` tokens. */
const promptCharacters = 200;

/** A text on which models are compared. */
export interface TextToVerify {
  readonly corpus: Corpus;
  /** Tokens per window in the run's training. Undefined if the text is not the run's own text. */
  readonly ownWindow?: number;
}

/**
 * Loads the text on which models are compared: the text that the user named, or the text of the model's run.
 * @param place path of the model.
 * @returns undefined if the model is not from a run, the run has documents, or the run's text no longer exists.
 */
export const textToVerify = async (place: string, data: string | undefined): Promise<TextToVerify | undefined> => {
  if (data !== undefined) {
    if (!(await hasDocuments(data))) return { corpus: await loadCorpus(data, {}) };
    throw new ConfigError({
      where: "--data",
      must: "must be a text",
      got: "documents",
      hint: "npx foretoken evaluate FILE --against MODEL --data DOCUMENTS, or a text file",
    });
  }
  const run = await runOf(place).catch((error: unknown) => {
    if (error instanceof ForetokenError) return undefined;
    throw error;
  });
  if (run === undefined) return undefined;
  // This module is loaded only if needed: most compared models are not from runs.
  const { loadRunCorpus } = await import("../../runs/resume/run-corpus.node.ts");
  const found = await loadRunCorpus(run.data).catch((error: unknown) => {
    if (error instanceof ForetokenError) return undefined;
    throw error;
  });
  if (found?.kind !== "text") return undefined;
  return { corpus: found.corpus, ownWindow: run.config.model.contextLength };
};

/** Cuts a text to at most `most` tokens. Returns undefined if the result would be empty. */
const cutTo = ({ tokenizer }: LanguageModel, text: string, most: number): string | undefined => {
  let cut = text;
  for (;;) {
    const { length } = tokenizer.encode(cut);
    if (length === 0) return undefined;
    if (length <= most) return cut;
    const shorter = Array.from(cut)
      .slice(0, Math.floor((Array.from(cut).length * most) / length))
      .join("");
    // A single character may have more than `most` tokens.
    if (shorter === "" || shorter === cut) return undefined;
    cut = shorter;
  }
};

/** A part of a text. If a cut divides a surrogate pair, the remaining half is left out. */
const wholeCharacters = (text: string, start: number, end: number): string => {
  const part = text.slice(start, end);
  const from = /^[\udc00-\udfff]/u.test(part) ? 1 : 0;
  return part.slice(from, /[\ud800-\udbff]$/u.test(part) ? -1 : undefined);
};

/**
 * Makes prompts: pieces spread over the held-out text, or random tokens.
 * @throws DataError for a character that the tokenizer does not know.
 */
export const promptsOf = (
  lm: LanguageModel,
  text: Corpus | undefined,
  count: number,
): readonly (string | readonly number[])[] => {
  const { contextLength } = lm.model.config;
  const most = Math.max(1, Math.min(promptTokens, Math.floor(contextLength / 2)));
  const random = randomStream(randomKey(1, "sampling"));
  const drawn = (): readonly number[] => Array.from({ length: most }, () => random.integer(lm.model.vocabSize));
  if (text === undefined || lm.tokenizer.kind === "none") return Array.from({ length: count }, drawn);
  const { val } = text;
  const length = Math.min(promptCharacters, val.length);
  return Array.from({ length: count }, (_, i) => {
    const start = Math.floor((i * (val.length - length)) / Math.max(1, count - 1));
    return cutTo(lm, wholeCharacters(val, start, start + length), most) ?? drawn();
  });
};
