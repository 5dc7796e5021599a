import type { RunConfig } from "../config/config.ts";
import { evaluationsLeft, forwardSeconds, measuredAtOnce } from "./time-left.ts";

/** The remaining part of a run. */
export interface Remaining {
  /** Updates done. */
  readonly step: number;
  /** The update at which the run ends or stops. */
  readonly lastStep: number;
  /** Number of tokens of an evaluation. */
  readonly valTokens: number;
  /** Number of tokens of the prompt, and number of tokens of the sample at the end. */
  readonly promptTokens: number;
  readonly finalSampleTokens: number;
  /** Number of tokens of a step. Default: all rows are full. */
  readonly stepTokens?: number | undefined;
  /** Number of machines that share steps and evaluations; one machine writes the samples. Default 1. */
  readonly machines?: number | undefined;
}

/**
 * Estimates the remaining seconds of a run from the time of a step. It counts the steps, the evaluations, and the part
 * of each sample that exceeds the context length: there, each token needs a pass over the whole context. It ignores
 * that the run may stop early (patience).
 */
export const estimateSeconds = (config: RunConfig, stepSeconds: number, remaining: Remaining): number => {
  const { step, lastStep, valTokens, promptTokens, finalSampleTokens, stepTokens, machines = 1 } = remaining;
  const { contextLength } = config.model;
  const evals = evaluationsLeft(config, step, lastStep);
  const passes = (sampleTokens: number): number => Math.max(0, promptTokens + sampleTokens - contextLength);
  const samples = Math.max(0, evals - 1) * passes(config.train.sampleTokens) + passes(finalSampleTokens);
  const tokens = evals * measuredAtOnce(config) * valTokens + machines * samples * contextLength;
  const forwards = forwardSeconds(config, stepSeconds, tokens, stepTokens);
  return (lastStep - step) * stepSeconds + forwards;
};
