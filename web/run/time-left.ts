/** The time that a run still takes, by the speed of its last steps and by the evaluations that were seen to pass. */
import type { RunConfig } from "../../src/config/config.ts";
import type { TrainEvent } from "../../src/runs/events.ts";
import { median, secondsToEnd } from "../../src/runs/time-left.ts";
import type { RunData } from "./run-data.ts";

/** So many of the last steps tell the speed, and of the last evaluations their time. */
const recentSteps = 50;
const recentEvals = 8;

/** Time of evaluations. Notes have no clock, so it is taken when events come. */
export interface EvalClock {
  /** An event came at time `now`, in seconds. */
  readonly take: (event: TrainEvent, now: number) => void;
  /** Seconds of an evaluation with its sample; undefined before one was seen from its beginning to its end. */
  readonly seconds: () => number | undefined;
}

export const createEvalClock = (): EvalClock => {
  const gaps: number[] = [];
  /** When the last step came. */
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
    // Events come in bundles, so a single gap may be 0 or too long: their mean is right.
    seconds: () => (gaps.length === 0 ? undefined : gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length),
  };
};

/** Seconds to the end; undefined while there are too few steps. @param evalSeconds with the step after it, as of an `EvalClock`. */
export const secondsLeft = (
  config: RunConfig,
  { steps, tokensPerStep, valTokens }: Pick<RunData, "steps" | "tokensPerStep" | "valTokens">,
  evalSeconds: number | undefined,
): number | undefined => {
  const { length } = steps;
  if (length < 3) return undefined;
  const rates = steps.column("tokensPerSecond").subarray(Math.max(0, length - recentSteps), length);
  const rate = median([...rates].filter((one) => one > 0));
  if (rate === undefined) return undefined;
  const stepSeconds = tokensPerStep / rate;
  return secondsToEnd(config, {
    step: steps.column("step")[length - 1] ?? 0,
    stepSeconds,
    evalSeconds: evalSeconds === undefined ? undefined : Math.max(0, evalSeconds - stepSeconds),
    valTokens: valTokens ?? 0,
  });
};
