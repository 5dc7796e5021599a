import type { RunConfig } from "../config/config.ts";

/** The middle one, of an even number the higher of the two; undefined where there is none. */
export const median = (values: readonly number[]): number | undefined =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** What a step, forward and backward, does of arithmetic for one forward pass over the same tokens. */
const forwardsPerStep = 3;

/** What is left of a run. */
export interface Remaining {
  /** Updates done. */
  readonly step: number;
  /** The update it ends with; the plan's last, or an earlier one. */
  readonly lastStep: number;
  /** Tokens that an evaluation goes over. */
  readonly valTokens: number;
  /** Tokens of the prompt, and of the sample at the end. */
  readonly promptTokens: number;
  readonly finalSampleTokens: number;
}

/** Seconds of one forward pass over `tokens`, by how long a step takes: its arithmetic is a third of a step's for as many. */
export const forwardSeconds = ({ model, train }: RunConfig, stepSeconds: number, tokens: number): number =>
  (stepSeconds * tokens) / (forwardsPerStep * train.batchSize * train.gradAccumSteps * model.contextLength);

/** Evaluations after `step`, up to `lastStep` and with it. */
export const evaluationsLeft = ({ train }: RunConfig, step: number, lastStep: number): number => {
  const { evalInterval } = train;
  const planned = Math.floor(lastStep / evalInterval) - Math.floor(step / evalInterval);
  return planned + (lastStep % evalInterval === 0 ? 0 : 1);
};

/**
 * How long a run still takes, in seconds, as far as it can be told from how long a step does: its steps, its
 * evaluations, and its samples past the context length, where each token costs a pass over all of it. Running out
 * of patience would end it sooner.
 */
export const estimateSeconds = (config: RunConfig, stepSeconds: number, remaining: Remaining): number => {
  const { step, lastStep, valTokens, promptTokens, finalSampleTokens } = remaining;
  const { contextLength } = config.model;
  const evals = evaluationsLeft(config, step, lastStep);
  const passes = (sampleTokens: number): number => Math.max(0, promptTokens + sampleTokens - contextLength);
  const samples = Math.max(0, evals - 1) * passes(config.train.sampleTokens) + passes(finalSampleTokens);
  return (
    (lastStep - step) * stepSeconds + forwardSeconds(config, stepSeconds, evals * valTokens + samples * contextLength)
  );
};
