/** Estimated remaining time of a run, from the speed of its last steps and from observed evaluations. */
import type { RunConfig } from "../../src/config/config.ts";
import type { TrainEvent } from "../../src/runs/events.ts";
import { median, secondsToEnd } from "../../src/runs/time-left.ts";
import type { RunData } from "./run-data.ts";

/**
 * Number of last steps that are averaged for the speed. Number of last evaluations that are averaged for the time of an
 * evaluation.
 */
const recentSteps = 50;
const recentEvals = 8;

/** Measures the time of evaluations. Events carry no time, so the page notes when they arrive. */
export interface EvalClock {
  /** Records an event that arrived at time `now`, in seconds. */
  readonly take: (event: TrainEvent, now: number) => void;
  /**
   * Mean seconds from the last step before an evaluation to the next step. The evaluation and its sample are included.
   * Undefined until one evaluation is complete.
   */
  readonly seconds: () => number | undefined;
}

export const createEvalClock = (): EvalClock => {
  const gaps: number[] = [];
  /** Arrival time of the last step. */
  let last: number | undefined;
  let isMeasuring = false;
  return {
    take(event, now) {
      if (event.type === "eval") isMeasuring = last !== undefined;
      else if (event.type === "step") {
        if (isMeasuring && last !== undefined) gaps.push(now - last);
        if (gaps.length > recentEvals) gaps.shift();
        isMeasuring = false;
        last = now;
      }
    },
    // Events arrive in groups, so a single gap may be 0 or too long, but the mean of the gaps is right.
    seconds: () => (gaps.length === 0 ? undefined : gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length),
  };
};

/** Median speed of the last steps, in tokens per second. A single step may be much slower. */
export const recentRate = ({ steps }: Pick<RunData, "steps">): number | undefined => {
  const { length } = steps;
  const rates = steps.column("tokensPerSecond").subarray(Math.max(0, length - recentSteps), length);
  return median([...rates].filter((one) => one > 0));
};

/**
 * Estimated seconds to the end of the run. Undefined while there are too few steps. @param evalSeconds seconds of an
 * evaluation and the step after it, from an `EvalClock`.
 */
export const secondsLeft = (
  config: RunConfig,
  { steps, tokensPerStep, valTokens }: Pick<RunData, "steps" | "tokensPerStep" | "valTokens">,
  evalSeconds: number | undefined,
): number | undefined => {
  const { length } = steps;
  if (length < 3) return undefined;
  const rate = recentRate({ steps });
  if (rate === undefined) return undefined;
  const stepSeconds = tokensPerStep / rate;
  return secondsToEnd(config, {
    step: steps.column("step")[length - 1] ?? 0,
    stepSeconds,
    evalSeconds: evalSeconds === undefined ? undefined : Math.max(0, evalSeconds - stepSeconds),
    valTokens: valTokens ?? 0,
  });
};
