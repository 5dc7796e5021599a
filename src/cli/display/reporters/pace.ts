import type { StartEvent } from "../../../runs/events.ts";
import { forwardSeconds, measuredAtOnce, median, secondsToEnd } from "../../../runs/time-left.ts";

const recent = 50;

const keepRecent = (values: number[], value: number): void => {
  values.push(value);
  if (values.length > recent) values.shift();
};

/** Speed of a run, and its remaining time in seconds. */
export interface Pace {
  /** Call it after a step. @param now time in seconds. @param tokensPerSecond speed of this step. */
  step(step: number, tokensPerSecond: number, now: number): void;
  /** Call it after an evaluation and the sample that follows. */
  measured(now: number): void;
  /** Median over recent steps. */
  tokensPerSecond(): number | undefined;
  /**
   * Time for the remaining steps and evaluations. Undefined before the second step, because the first step of a process
   * takes much longer than the others.
   */
  secondsLeft(): number | undefined;
}

/** @param start the start event. For a resumed run, the event's step is above 0. */
export const createPace = ({ config, step: firstStep, valTokens }: StartEvent, startedAt: number): Pace => {
  const speeds: number[] = [];
  const stepTimes: number[] = [];
  const evalTimes: number[] = [];
  let done = firstStep;
  let last = startedAt;
  /** Seconds for the evaluation since the last step, including the evaluation's sample. */
  let measuring = 0;
  return {
    step(step, tokensPerSecond, now) {
      keepRecent(speeds, tokensPerSecond);
      if (done > firstStep) keepRecent(stepTimes, now - last);
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
      // Early steps are slow, and a long text would multiply their time. So the fastest step gives the first estimate.
      const estimated = forwardSeconds(config, Math.min(...stepTimes), measuredAtOnce(config) * valTokens);
      const evalSeconds = median(evalTimes) ?? (measuring > 0 ? measuring : estimated);
      return secondsToEnd(config, { step: done, stepSeconds, evalSeconds, valTokens });
    },
  };
};
