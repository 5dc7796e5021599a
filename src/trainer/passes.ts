/**
 * The passes of a step: groups of rows of its micro-batches that go through the model together, numbered across the
 * micro-batches.
 */

import { defaultRows, defaultWindows, type TrainerConfig } from "../config/config.ts";
import { type Batch, type PassRange, passCount, trainingPasses } from "../data/batches.ts";
import type { Documents } from "../data/documents.ts";
import { type BatchSize, documentRows, passesOfRows, sizeOfRows } from "../data/rows.ts";
import { passesOfWindows, shuffledWindows } from "../data/shuffled-windows.ts";

/** Approximate number of tokens of a pass. The gradients of a pass have an array of their own until they are added. */
export const tokensPerPass = 4096;

/**
 * A model counts as small if its transformer blocks have at most this many weights. Then the gradients of a second pass
 * cost little.
 */
const fewWeights = 2 ** 23;
/** Minimum number of tokens for a pass of its own. */
const fewTokens = 256;

/**
 * Approximate number of tokens in a pass of windows. For a small model, a step that would be one pass is split into
 * two, so that two threads or two machines can share it.
 */
export const tokensOfPass = ({ model, train }: Pick<TrainerConfig, "model" | "train">): number => {
  const tokens = train.batchSize * model.contextLength;
  const weights = 12 * model.nLayer * model.nEmbd ** 2;
  const isOnePass = train.gradAccumSteps * passCount(train.batchSize, model.contextLength, tokensPerPass) === 1;
  return isOnePass && weights <= fewWeights && tokens >= 2 * fewTokens ? tokens / 2 : tokensPerPass;
};

/** Kind of data in a step's passes. */
export type PassKind = "windows" | "documents";

/** Source of a step's passes. */
export interface PassSource {
  /**
   * The passes of micro-batch `microStep` of a step, in order.
   * @param range range of passes to make. Default: all.
   */
  passes(step: number, microStep: number, range?: PassRange): Iterable<Batch>;
  /** Passes of windows have the same shapes in every step. Passes of documents have different shapes. */
  readonly kind: PassKind;
  /** Number of passes of a micro-batch. */
  readonly perMicroBatch: number;
  /** Number of tokens and targets of a whole step, on all machines. The step's loss is the mean over its targets. */
  sizeOf(step: number): BatchSize;
}

/**
 * Passes of windows drawn from a text.
 * @param ofPass approximate number of tokens of a pass.
 * @param begin a token with which each window begins. Default: none.
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

/** Passes of documents, arranged in rows. */
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

/** Number of passes of a step, on all machines. */
export const passesPerStep = (config: TrainerConfig, kind: PassKind): number => {
  const { batchSize, gradAccumSteps } = config.train;
  const tokens = kind === "windows" ? tokensOfPass(config) : tokensPerPass;
  return gradAccumSteps * passCount(batchSize, config.model.contextLength, tokens);
};

/** Makes passes [from, to) of a step, and no others. */
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
