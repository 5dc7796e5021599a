/** The passes of a step: the rows of its micro-batches as they go through the model, numbered over all of them. */

import { defaultRows, defaultWindows, type TrainerConfig } from "../config/config.ts";
import { type Batch, type PassRange, passCount, trainingPasses } from "../data/batches.ts";
import type { Documents } from "../data/documents.ts";
import { type BatchSize, documentRows, passesOfRows, sizeOfRows } from "../data/rows.ts";
import { passesOfWindows, shuffledWindows } from "../data/shuffled-windows.ts";

/**
 * A batch goes through the model in passes of about this many tokens, enough to keep every kernel busy: the activations
 * of one pass are all that is in memory, however large the batch is.
 */
export const tokensPerPass = 4096;

/** Up to this many weights in its blocks a model is small: gradients of a second pass cost it little. */
const fewWeights = 2 ** 23;
/** Fewer tokens are not worth a pass of their own. */
const fewTokens = 256;

/**
 * About how many tokens a pass of windows has. A step of a small model that would be one pass is two, so that two threads, or
 * two machines, can take one each.
 */
export const tokensOfPass = ({ model, train }: Pick<TrainerConfig, "model" | "train">): number => {
  const tokens = train.batchSize * model.contextLength;
  const weights = 12 * model.nLayer * model.nEmbd ** 2;
  const isOnePass = train.gradAccumSteps * passCount(train.batchSize, model.contextLength, tokensPerPass) === 1;
  return isOnePass && weights <= fewWeights && tokens >= 2 * fewTokens ? tokens / 2 : tokensPerPass;
};

/** What a step's passes are made of. */
export type PassKind = "windows" | "documents";

/** Source of a step's passes. */
export interface PassSource {
  /**
   * The passes of micro-batch `microStep` of a step, in order.
   * @param range those of them that are made; default: all.
   */
  passes(step: number, microStep: number, range?: PassRange): Iterable<Batch>;
  /** Passes of windows have the same shapes in every step. */
  readonly kind: PassKind;
  /** Passes of a micro-batch. */
  readonly perMicroBatch: number;
  /** Tokens of a whole step, on all machines: its loss is the mean over its targets. */
  sizeOf(step: number): BatchSize;
}

/**
 * Passes of windows that are drawn from a text.
 * @param ofPass tokens of a pass, about.
 * @param begin a token that each window begins with; default: none.
 */
export const passesOfText = (
  config: TrainerConfig,
  tokens: Int32Array,
  ofPass: number = tokensOfPass(config),
  begin?: number,
): PassSource => {
  const { batchSize, seed, gradAccumSteps, windows = defaultWindows } = config.train;
  const { contextLength } = config.model;
  const fixed = { kind: "windows", perMicroBatch: passCount(batchSize, contextLength, ofPass) } as const;
  const perStep = batchSize * contextLength * gradAccumSteps;
  const sizeOf = () => ({ tokens: perStep, targets: perStep });
  if (windows === "random") {
    return {
      passes: (step, microStep, range) =>
        trainingPasses(tokens, { batchSize, contextLength, seed, step, microStep }, ofPass, range, begin),
      sizeOf,
      ...fixed,
    };
  }
  const offsetOf = shuffledWindows(tokens.length, { contextLength, seed });
  return {
    passes(step, microStep, range) {
      const from = (step * gradAccumSteps + microStep) * batchSize;
      return passesOfWindows(tokens, offsetOf, { from, to: from + batchSize, contextLength }, ofPass, range, begin);
    },
    sizeOf,
    ...fixed,
  };
};

/** Passes of documents, which are taken in rows. */
export const passesOfDocuments = (config: TrainerConfig, documents: Documents): PassSource => {
  const { batchSize, seed, gradAccumSteps, rows: kind = defaultRows } = config.train;
  const { contextLength } = config.model;
  const rows = documentRows(documents, { contextLength, kind, seed });
  const perStep = batchSize * gradAccumSteps;
  const perMicroBatch = passCount(batchSize, contextLength, tokensPerPass);
  return {
    passes: (step, microStep, range) => {
      const from = step * perStep + microStep * batchSize;
      return passesOfRows(documents, rows, { from, to: from + batchSize, passes: perMicroBatch, contextLength }, range);
    },
    sizeOf: (step) => sizeOfRows(rows, step * perStep, (step + 1) * perStep),
    kind: "documents",
    perMicroBatch,
  };
};

/** How many passes a step has, on all machines. */
export const passesPerStep = (config: TrainerConfig, kind: PassKind): number => {
  const { batchSize, gradAccumSteps } = config.train;
  const tokens = kind === "windows" ? tokensOfPass(config) : tokensPerPass;
  return gradAccumSteps * passCount(batchSize, config.model.contextLength, tokens);
};

/** Passes [from, to) of a step. No other pass is made. */
export function* passesBetween(
  source: PassSource,
  step: number,
  { from, to }: PassRange,
): Generator<Batch, void, undefined> {
  const { perMicroBatch } = source;
  for (let microStep = Math.floor(from / perMicroBatch); microStep * perMicroBatch < to; microStep++) {
    const first = microStep * perMicroBatch;
    const range = { from: Math.max(from - first, 0), to: Math.min(to - first, perMicroBatch) };
    yield* source.passes(step, microStep, range);
  }
}
