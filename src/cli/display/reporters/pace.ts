import type { StartEvent } from "../../../runs/events.ts";
import { median, secondsToEnd } from "../../../runs/time-left.ts";

const recent = 50;

const keepRecent = (values: number[], value: number): void => {
  values.push(value);
  if (values.length > recent) values.shift();
};

/** Speed of a run and its remaining time, in seconds. */
export interface Pace {
  /** An update was done at time `now`, with its own speed. */
  step(step: number, tokensPerSecond: number, now: number): void;
  /** An evaluation, or the sample after it, ended. */
  measured(now: number): void;
  /** Median of the recent steps. */
  tokensPerSecond(): number | undefined;
  /** Remaining steps and evaluations; undefined while there is no measurement. */
  secondsLeft(): number | undefined;
}

/** @param start the run, which may have been resumed. */
export const createPace = ({ config, step: firstStep, valTokens }: StartEvent, startedAt: number): Pace => {
  const speeds: number[] = [];
  const stepTimes: number[] = [];
  const evalTimes: number[] = [];
  let done = firstStep;
  let last = startedAt;
  /** Time of the evaluation since the last step, and of the sample after it. */
  let measuring = 0;
  return {
    step(step, tokensPerSecond, now) {
      keepRecent(speeds, tokensPerSecond);
      keepRecent(stepTimes, now - last);
      if (measuring > 0) keepRecent(evalTimes, measuring);
      measuring = 0;
      done = step;
      last = now;
    },
    measured(now) {
      measuring += now - last;
      last = now;
    },
    tokensPerSecond: () => median(speeds),
    secondsLeft() {
      const stepSeconds = median(stepTimes);
      if (stepSeconds === undefined) return undefined;
      const evalSeconds = median(evalTimes) ?? (measuring > 0 ? measuring : undefined);
      return secondsToEnd(config, { step: done, stepSeconds, evalSeconds, valTokens });
    },
  };
};
