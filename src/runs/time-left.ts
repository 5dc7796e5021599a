/** How long the rest of a run takes. Types alone are imported here: the studio's page bundles this file. */
import type { RunConfig } from "../config/config.ts";

/** The median, of an even number the higher of the two; undefined if there are none. */
export const median = (values: readonly number[]): number | undefined =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** Arithmetic of a step, forward and backward, in forward passes over the same tokens. */
const forwardsPerStep = 3;

/**
 * Seconds of one forward pass over `tokens`, from the time of a step: a third of a step's arithmetic for as many
 * tokens.
 */
export const forwardSeconds = (
  { model, train }: RunConfig,
  stepSeconds: number,
  tokens: number,
  stepTokens: number = train.batchSize * train.gradAccumSteps * model.contextLength,
): number => (stepSeconds * tokens) / (forwardsPerStep * stepTokens);

/** Evaluations after `step`, up to and including `lastStep`. */
export const evaluationsLeft = ({ train }: RunConfig, step: number, lastStep: number): number => {
  const { evalInterval } = train;
  const planned = Math.floor(lastStep / evalInterval) - Math.floor(step / evalInterval);
  return planned + (lastStep % evalInterval === 0 ? 0 : 1);
};

/** What is known of the speed of a run. */
export interface RunSpeed {
  /** Updates done. */
  readonly step: number;
  readonly stepSeconds: number;
  /** Of an evaluation with its sample; undefined before the first one. */
  readonly evalSeconds: number | undefined;
  /** Tokens of an evaluation. */
  readonly valTokens: number;
}

/** Seconds to the planned end of a run, evaluations and samples included. */
export const secondsToEnd = (config: RunConfig, { step, stepSeconds, evalSeconds, valTokens }: RunSpeed): number => {
  const { steps } = config.train;
  if (step >= steps) return 0;
  // Before the first evaluation: by its share of a step's arithmetic.
  const each = evalSeconds ?? forwardSeconds(config, stepSeconds, valTokens);
  return (steps - step) * stepSeconds + evaluationsLeft(config, step, steps) * each;
};
