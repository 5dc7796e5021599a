/** The passes of a step: the rows of its micro-batches as they go through the model, numbered over all of them. */
import { type Batch, passCount, trainingPasses } from "../../data/batches.ts";
import type { TrainerConfig } from "../config/config.ts";

/**
 * A batch goes through the model in passes of about this many tokens, enough to keep every kernel busy: the activations
 * of one pass are all that is in memory, however large the batch is.
 */
export const tokensPerPass = 4096;

/** The passes of micro-batch `microStep` of a step, in order. */
export type PassSource = (step: number, microStep: number) => Iterable<Batch>;

/** Passes of windows that are drawn from a text. */
export const passesOfText = ({ model, train }: TrainerConfig, tokens: Int32Array): PassSource => {
  const { batchSize, seed } = train;
  const { contextLength } = model;
  return (step, microStep) =>
    trainingPasses(tokens, { batchSize, contextLength, seed, step, microStep }, tokensPerPass);
};

const passesPerMicroBatch = ({ model, train }: TrainerConfig): number =>
  passCount(train.batchSize, model.contextLength, tokensPerPass);

/** How many passes a step has, on all machines. */
export const passesPerStep = (config: TrainerConfig): number =>
  config.train.gradAccumSteps * passesPerMicroBatch(config);

/** Passes [from, to) of a step. */
export function* passesBetween(
  config: TrainerConfig,
  source: PassSource,
  step: number,
  { from, to }: { readonly from: number; readonly to: number },
): Generator<Batch, void, undefined> {
  const perMicroBatch = passesPerMicroBatch(config);
  let microStep = Math.floor(from / perMicroBatch);
  let number = microStep * perMicroBatch;
  for (; number < to; microStep++) {
    for (const pass of source(step, microStep)) {
      if (number >= from && number < to) yield pass;
      number++;
    }
  }
}
