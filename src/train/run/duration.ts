import type { RunConfig } from "../../config/config.ts";
import { evaluationsLeft, forwardSeconds } from "../../runs/time-left.ts";

/** The rest of a run. */
export interface Remaining {
  /** Updates done. */
  readonly step: number;
  /** The last update: the plan's, or an earlier one. */
  readonly lastStep: number;
  /** Tokens of an evaluation. */
  readonly valTokens: number;
  /** Tokens of the prompt, and of the sample at the end. */
  readonly promptTokens: number;
  readonly finalSampleTokens: number;
  /** Tokens of a step. Default: those of full rows. */
  readonly stepTokens?: number | undefined;
  /** Machines that share steps and evaluations, while samples are written by one of them. Default 1. */
  readonly machines?: number | undefined;
}

/**
 * Seconds that a run still takes, estimated from the time of a step: its steps, its evaluations, and its samples past
 * the context length, where each token costs a pass over the whole context. It ignores that running out of patience
 * would end the run sooner.
 */
export const estimateSeconds = (config: RunConfig, stepSeconds: number, remaining: Remaining): number => {
  const { step, lastStep, valTokens, promptTokens, finalSampleTokens, stepTokens, machines = 1 } = remaining;
  const { contextLength } = config.model;
  const evals = evaluationsLeft(config, step, lastStep);
  const passes = (sampleTokens: number): number => Math.max(0, promptTokens + sampleTokens - contextLength);
  const samples = Math.max(0, evals - 1) * passes(config.train.sampleTokens) + passes(finalSampleTokens);
  const tokens = evals * valTokens + machines * samples * contextLength;
  const forwards = forwardSeconds(config, stepSeconds, tokens, stepTokens);
  return (lastStep - step) * stepSeconds + forwards;
};
