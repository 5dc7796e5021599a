import { checkBoolean, checkCallback, checkChoice, checkSignal } from "../core/checks/check-arguments.ts";
import { ConfigError, DataError } from "../core/errors/errors.ts";
import { nearest } from "../core/text/nearest.ts";
import { show } from "../core/text/show.ts";
import { checkPredictable } from "../data/batches.ts";
import { type Corpus, type Passage, passagesOf } from "../data/corpus.ts";
import type { Documents } from "../data/documents.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { beginOf } from "../tokenizer/begin.ts";
import { type ReadText, readText, type SkippedText, type UnknownChoice, unknownChoices } from "../tokenizer/unknown.ts";
import {
  type Evaluation,
  evaluate as evaluateTokens,
  type MeasuredTokens,
  measureDocuments,
  measureTokens,
  predictedTokens,
} from "./evaluate.ts";

export const splitNames = ["val", "train", "all"] as const;
/** Part of a text: the held-out end, the text before it, or the whole text. */
export type SplitName = (typeof splitNames)[number];

export interface Measuring {
  /** The part to evaluate on. Default "val". For documents, the default is "all". */
  readonly split?: SplitName | undefined;
  /**
   * Action for characters that the tokenizer lacks. "error" (default) refuses the text. "skip" evaluates on the text
   * without these characters. The result then lists the skipped characters, and its numbers count only the other
   * characters and bytes.
   */
  readonly unknown?: UnknownChoice | undefined;
  /**
   * Number of tokens of a window: a whole number from 1 to the model's context length. Default: the model's context
   * length.
   */
  readonly contextLength?: number | undefined;
  /** Whether the result contains the loss of each window. `compareEvaluations` needs these losses. Default false. */
  readonly windows?: boolean | undefined;
  /** Abort it to stop the evaluation with the signal's reason. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Called after each batch with the number of predicted tokens and the number of all tokens. The evaluation waits for
   * a returned promise.
   */
  readonly onProgress?: ((predicted: number, tokens: number) => void) | undefined;
}

/**
 * Checks the options of an evaluation before the model or the data are loaded.
 * @throws ConfigError for an unknown split, or for a held-out fraction when the whole text is used.
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
      must: "must not be given when the whole text is used",
      got: String(valFraction),
      hint: "split val or train, or no valFraction",
    });
  }
};

/** A text to evaluate on. */
export type MeasuredSplit = Pick<Corpus, "name" | "train" | "val" | "parts">;

/** Documents to evaluate on, encoded for the model. */
export interface MeasuredDocuments {
  /** Name of the documents, for errors. */
  readonly name: string;
  /** Encoded documents. The loss is the mean over the counted tokens. */
  readonly documents: Documents;
}

/** Data to evaluate on. */
export type MeasuredCorpus = MeasuredSplit | MeasuredDocuments;

/** A whole text to evaluate on, with the options of an evaluation. */
export interface MeasuredText extends Omit<Measuring, "split"> {
  /** The text to evaluate on: at least two tokens. The whole text is used. */
  readonly text: string;
}

/** Adds the file and the line of the first character that the tokenizer lacks to `error`. */
const locatedError = (
  tokenizer: LanguageModel["tokenizer"],
  passages: readonly Passage[],
  error: DataError,
): DataError => {
  for (const { text, where, before } of passages) {
    try {
      tokenizer.encode(text, where, before);
    } catch (found) {
      if (!(found instanceof DataError)) throw found;
      const { hint, characters } = error.details;
      return new DataError({
        ...found.details,
        ...(hint === undefined ? {} : { hint }),
        ...(characters === undefined ? {} : { characters }),
      });
    }
  }
  return error;
};

const howToSkip = 'unknown: "skip"';

/**
 * Encodes a part of the text. @throws DataError for a character that the tokenizer lacks, with its position in its
 * file.
 */
const readSplit = (
  tokenizer: LanguageModel["tokenizer"],
  { name, train, val, parts }: MeasuredSplit,
  split: SplitName,
  unknown: UnknownChoice,
): ReadText => {
  const all = train + val;
  const from = split === "val" ? train.length : 0;
  const to = split === "train" ? train.length : all.length;
  try {
    return readText(tokenizer, all.slice(from, to), unknown, name, howToSkip);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    throw locatedError(tokenizer, passagesOf(all, parts, from, to), error);
  }
};

/** @throws ConfigError for a window that is longer than the model's context. */
export const checkWindow = (contextLength: number, most: number): void => {
  if (Number.isInteger(contextLength) && contextLength >= 1 && contextLength <= most) return;
  throw new ConfigError({
    where: "contextLength",
    must: `must be a whole number from 1 to the model's context length, ${most}`,
    got: show(contextLength),
  });
};

const splitTitles: Readonly<Record<SplitName, string>> = {
  val: "validation split",
  train: "training split",
  all: "text",
};

/**
 * The tokens to evaluate on, and the skipped characters of a text. @throws DataError if there is no token to predict.
 */
export const readCorpus = (
  tokenizer: LanguageModel["tokenizer"],
  corpus: MeasuredCorpus,
  split: SplitName,
  unknown: UnknownChoice,
): { readonly measured: MeasuredTokens; readonly skipped?: SkippedText | undefined } => {
  if ("documents" in corpus) {
    const measured = measureDocuments(corpus.documents, tokenizer);
    if (predictedTokens(measured) > 0) return { measured };
    const must = "the documents must have at least one token that the loss counts";
    throw new DataError({ where: corpus.name, must, got: "none" });
  }
  const { ids, skipped } = readSplit(tokenizer, corpus, split, unknown);
  const before = beginOf(tokenizer) === undefined ? 0 : 1;
  checkPredictable(before + ids.length, splitTitles[split], split === "all" ? "more text" : "more text, or split all");
  return { measured: measureTokens(ids, tokenizer), skipped };
};

/** @throws ConfigError for a loss that is not finite. */
export const checkFinite = ({ perplexity, natsPerToken }: Evaluation): void => {
  if (Number.isFinite(perplexity)) return;
  throw new ConfigError({
    where: "evaluation",
    must: "the loss and its perplexity must be finite",
    got: `${natsPerToken} nats per token, a perplexity of ${perplexity}`,
    hint: "another checkpoint: this checkpoint is damaged, or its training diverged",
  });
};

/** Like `evaluate`, on a loaded text or on encoded documents. */
export const evaluateCorpus = async (
  lm: LanguageModel,
  corpus: MeasuredCorpus,
  { split = "val", unknown = "error", contextLength, windows = false, signal, onProgress }: Measuring = {},
): Promise<Evaluation> => {
  checkSplit(split);
  if (contextLength !== undefined) checkWindow(contextLength, lm.model.config.contextLength);
  checkChoice("evaluate: unknown", unknown, unknownChoices);
  checkBoolean("evaluate: windows", windows);
  checkSignal("evaluate: signal", signal);
  checkCallback("evaluate: onProgress", onProgress);
  const { measured, skipped } = readCorpus(lm.tokenizer, corpus, split, unknown);
  const tokens = predictedTokens(measured);
  const result = await evaluateTokens(lm.model, measured, signal, (done) => onProgress?.(done, tokens), {
    contextLength,
    windows,
  });
  checkFinite(result);
  return skipped === undefined ? result : { ...result, skipped };
};
