/** Estimates the remaining time of a run. This file may import only types, because the studio's page bundles it. */
import type { RunConfig } from "../config/config.ts";

/**
 * The median. For an even number of values, the median is the higher of the two middle values. Undefined for an empty
 * list.
 */
export const median = (values: readonly number[]): number | undefined =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** Cost of a step (forward and backward), in forward passes over the same tokens. */
const forwardsPerStep = 3;

/**
 * Seconds of one forward pass over `tokens` tokens, computed from the time of a step. A step costs three forward passes
 * over the step's tokens.
 */
export const forwardSeconds = (
  { model, train }: RunConfig,
  stepSeconds: number,
  tokens: number,
  stepTokens: number = train.batchSize * train.gradAccumSteps * model.contextLength,
): number => (stepSeconds * tokens) / (forwardsPerStep * stepTokens);

/** Number of evaluations after `step`, up to and including `lastStep`. */
export const evaluationsLeft = ({ train }: RunConfig, step: number, lastStep: number): number => {
  const { evalInterval } = train;
  const planned = Math.floor(lastStep / evalInterval) - Math.floor(step / evalInterval);
  return planned + (lastStep % evalInterval === 0 ? 0 : 1);
};

/** How many sets of weights each evaluation measures: the weights and, with `train.average`, their average. */
export const measuredAtOnce = ({ train }: RunConfig): number => (train.average === undefined ? 1 : 2);

/** Measured speed of a run. */
export interface RunSpeed {
  /** Updates done. */
  readonly step: number;
  readonly stepSeconds: number;
  /** Seconds of an evaluation with its sample; undefined before the first evaluation. */
  readonly evalSeconds: number | undefined;
  /** Number of tokens of an evaluation. */
  readonly valTokens: number;
}

/** Seconds to the planned end of a run, including evaluations and samples. */
export const secondsToEnd = (config: RunConfig, { step, stepSeconds, evalSeconds, valTokens }: RunSpeed): number => {
  const { steps } = config.train;
  if (step >= steps) return 0;
  // Before the first evaluation, the time of an evaluation is estimated from the time of a step.
  const each = evalSeconds ?? forwardSeconds(config, stepSeconds, measuredAtOnce(config) * valTokens);
  return (steps - step) * stepSeconds + evaluationsLeft(config, step, steps) * each;
};
