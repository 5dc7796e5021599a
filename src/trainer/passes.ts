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

/** Source of a step's passes. */
export interface PassSource {
  /**
   * The passes of micro-batch `microStep` of a step, in order: as many as `passesPerMicroBatch`.
   * @param range those of them that are made; default: all.
   */
  passes(step: number, microStep: number, range?: PassRange): Iterable<Batch>;
  /** Tokens of a whole step, on all machines: its loss is the mean over its targets. */
  sizeOf(step: number): BatchSize;
}

/** Passes of windows that are drawn from a text. */
export const passesOfText = ({ model, train }: TrainerConfig, tokens: Int32Array): PassSource => {
  const { batchSize, seed, gradAccumSteps } = train;
  const { contextLength } = model;
  const perStep = batchSize * contextLength * gradAccumSteps;
  const sizeOf = () => ({ tokens: perStep, targets: perStep });
  if ((train.windows ?? defaultWindows) === "random") {
    return {
      passes: (step, microStep, range) =>
        trainingPasses(tokens, { batchSize, contextLength, seed, step, microStep }, tokensPerPass, range),
      sizeOf,
    };
  }
  const offsetOf = shuffledWindows(tokens.length, { contextLength, seed });
  return {
    passes(step, microStep, range) {
      const from = (step * gradAccumSteps + microStep) * batchSize;
      return passesOfWindows(tokens, offsetOf, { from, to: from + batchSize, contextLength }, tokensPerPass, range);
    },
    sizeOf,
  };
};

/** Passes of documents, which are taken in rows. */
export const passesOfDocuments = (config: TrainerConfig, documents: Documents): PassSource => {
  const { batchSize, seed, gradAccumSteps, rows: kind = defaultRows } = config.train;
  const { contextLength } = config.model;
  const rows = documentRows(documents, { contextLength, kind, seed });
  const perStep = batchSize * gradAccumSteps;
  const passes = passesPerMicroBatch(config);
  return {
    passes: (step, microStep, range) => {
      const from = step * perStep + microStep * batchSize;
      return passesOfRows(documents, rows, { from, to: from + batchSize, passes, contextLength }, range);
    },
    sizeOf: (step) => sizeOfRows(rows, step * perStep, (step + 1) * perStep),
  };
};

const passesPerMicroBatch = ({ model, train }: TrainerConfig): number =>
  passCount(train.batchSize, model.contextLength, tokensPerPass);

/** How many passes a step has, on all machines. */
export const passesPerStep = (config: TrainerConfig): number =>
  config.train.gradAccumSteps * passesPerMicroBatch(config);

/** Passes [from, to) of a step. No other pass is made. */
export function* passesBetween(
  config: TrainerConfig,
  source: PassSource,
  step: number,
  { from, to }: PassRange,
): Generator<Batch, void, undefined> {
  const perMicroBatch = passesPerMicroBatch(config);
  for (let microStep = Math.floor(from / perMicroBatch); microStep * perMicroBatch < to; microStep++) {
    const first = microStep * perMicroBatch;
    const range = { from: Math.max(from - first, 0), to: Math.min(to - first, perMicroBatch) };
    yield* source.passes(step, microStep, range);
  }
}
