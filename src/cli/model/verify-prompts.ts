/** The text that forms of a model are compared on, and prompts from it. */
import { ConfigError, ForetokenError } from "../../core/errors/errors.ts";
import { randomKey, randomStream } from "../../core/random.ts";
import { loadCorpus } from "../../data/corpora.node.ts";
import type { Corpus } from "../../data/corpus.ts";
import { hasDocuments } from "../../data/documents.node.ts";
import type { LanguageModel } from "../../pretrained/model/language-model.ts";
import { runOf } from "./checkpoint-path.ts";

/** Most tokens of a prompt: what follows has room in a small context, too. */
const promptTokens = 32;
/** Characters that have so many tokens in nearly any text. */
const promptCharacters = 200;

/** A text to compare on. */
export interface TextToVerify {
  readonly corpus: Corpus;
  /** Tokens of the windows of the run's training, of a run's own text. */
  readonly ownWindow?: number;
}

/**
 * The text to compare on: what the user named, else the one of the model's run.
 * @param place the model's.
 * @returns undefined where there is none: a model of no run, a run on documents, or a text that is no longer there.
 */
export const textToVerify = async (place: string, data: string | undefined): Promise<TextToVerify | undefined> => {
  if (data !== undefined) {
    if (!(await hasDocuments(data))) return { corpus: await loadCorpus(data, {}) };
    throw new ConfigError({ where: "--data", must: "must be a text", got: "documents", hint: "a text file" });
  }
  const run = await runOf(place).catch((error: unknown) => {
    if (error instanceof ForetokenError) return undefined;
    throw error;
  });
  if (run === undefined) return undefined;
  // Loaded when needed: most models that are compared are of no run.
  const { loadRunCorpus } = await import("../../runs/resume/run-corpus.node.ts");
  const found = await loadRunCorpus(run.data).catch((error: unknown) => {
    if (error instanceof ForetokenError) return undefined;
    throw error;
  });
  if (found?.kind !== "text") return undefined;
  return { corpus: found.corpus, ownWindow: run.config.model.contextLength };
};

/** The beginning of a text that has at most `most` tokens, as a text; undefined if it is none. */
const cutTo = ({ tokenizer }: LanguageModel, text: string, most: number): string | undefined => {
  let cut = text;
  for (;;) {
    const { length } = tokenizer.encode(cut);
    if (length === 0) return undefined;
    if (length <= most) return cut;
    const shorter = Array.from(cut)
      .slice(0, Math.floor((Array.from(cut).length * most) / length))
      .join("");
    // At least one character: there may be more tokens than characters.
    if (shorter === "" || shorter === cut) return undefined;
    cut = shorter;
  }
};

/** A part of a text without halves of characters at its ends. */
const wholeCharacters = (text: string, start: number, end: number): string => {
  const part = text.slice(start, end);
  const from = /^[\udc00-\udfff]/u.test(part) ? 1 : 0;
  return part.slice(from, /[\ud800-\udbff]$/u.test(part) ? -1 : undefined);
};

/**
 * Prompts: pieces of the held-out text, spread over it, or tokens drawn at random.
 * @throws DataError for a character of the text that the tokenizer lacks.
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
