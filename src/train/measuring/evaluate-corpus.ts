import { checkCallback, checkSignal } from "../../core/check-arguments.ts";
import { ConfigError, DataError } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import { show } from "../../core/show.ts";
import { checkPredictable } from "../../data/batches.ts";
import { type Corpus, passagesOf } from "../../data/corpus.ts";
import type { LanguageModel } from "../../pretrained/language-model.ts";
import { type Evaluation, evaluate as evaluateTokens, measureTokens } from "./evaluate.ts";

export const splitNames = ["val", "train", "all"] as const;
/** Part of a text: the held-out end, the text before it, or both. */
export type SplitName = (typeof splitNames)[number];

export interface Measuring {
  /** Which part to measure on. Default "val". */
  readonly split?: SplitName | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after each batch with the number of predicted tokens and of all tokens. A promise is waited for. */
  readonly onProgress?: ((predicted: number, tokens: number) => void) | undefined;
}

/**
 * Checks the options of an evaluation before anything is loaded.
 * @throws ConfigError for an unknown split, or a held-out share where all of the text is measured.
 */
export const checkSplit = (split: string = "val", valFraction?: number): void => {
  if (!splitNames.some((name) => name === split)) {
    throw new ConfigError({
      where: "split",
      must: `must be ${splitNames.slice(0, -1).join(", ")} or ${splitNames.at(-1)}`,
      got: show(split),
      hint: (typeof split === "string" ? nearest(split, splitNames) : undefined) ?? "val",
    });
  }
  if (split === "all" && valFraction !== undefined) {
    throw new ConfigError({
      where: "valFraction",
      must: "must not be given where all of the text is measured",
      got: String(valFraction),
      hint: "split val or train, or no valFraction",
    });
  }
};

/** The text to measure on. */
export type MeasuredCorpus = Pick<Corpus, "name" | "train" | "val" | "parts">;

/** Token ids of a split. @throws DataError for a character that the tokenizer lacks, with its place in its file. */
const encodeSplit = (
  { tokenizer }: LanguageModel,
  { name, train, val, parts }: MeasuredCorpus,
  split: SplitName,
): Int32Array => {
  const all = train + val;
  const from = split === "val" ? train.length : 0;
  const to = split === "train" ? train.length : all.length;
  try {
    return tokenizer.encode(all.slice(from, to), name);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    // File by file: this fails too, but knows the file and its lines.
    for (const { text, where, before } of passagesOf(all, parts, from, to)) tokenizer.encode(text, where, before);
    throw error;
  }
};

const splitTitles: Readonly<Record<SplitName, string>> = {
  val: "validation split",
  train: "training split",
  all: "text",
};

/** Like `evaluate`, on a loaded text. */
export const evaluateCorpus = async (
  lm: LanguageModel,
  corpus: MeasuredCorpus,
  { split = "val", signal, onProgress }: Measuring = {},
): Promise<Evaluation> => {
  checkSplit(split);
  checkSignal("evaluate: signal", signal);
  checkCallback("evaluate: onProgress", onProgress);
  const ids = encodeSplit(lm, corpus, split);
  checkPredictable(ids.length, splitTitles[split], split === "all" ? "more text" : "more text, or split all");
  const tokens = ids.length - 1;
  const measured = measureTokens(ids, lm.tokenizer);
  const result = await evaluateTokens(lm.model, measured, signal, (done) => onProgress?.(done, tokens));
  if (!Number.isFinite(result.perplexity)) {
    throw new ConfigError({
      where: "evaluation",
      must: "the loss and its perplexity must be finite",
      got: `${result.natsPerToken} nats per token`,
      hint: "a model whose training went well",
    });
  }
  return result;
};
