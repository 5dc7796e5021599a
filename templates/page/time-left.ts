// The time until the end of a training.

/** A training that lasts until step `to`. Times are in seconds. */
export interface Estimate {
  /** The step at which the library estimated the remaining time. */
  readonly from: number;
  /** The planned last step. */
  readonly to: number;
  /** Number of steps between two measurements of the loss. */
  readonly evalInterval: number;
  /** The library's time of a step. */
  readonly stepSeconds: number;
  /** The library's estimate, which includes the measurements. */
  readonly secondsLeft: number;
}

export interface Pace {
  /** Call it after each step. @param now time in seconds */
  step(step: number, now: number): void;
  /** Call it after each measurement of the loss. The next step then also contains the time of the measurement. */
  measured(): void;
  secondsLeft(): number;
}

/** The speed is the mean over the steps of this time, and at least over a few steps. */
const recentSeconds = 15;
const fewestSteps = 5;

/**
 * Measures the pace of a training from the estimate to the end. A busy computer slows down steps and measurements
 * alike, so the time of a measurement is noted as a number of steps.
 */
export const createPace = ({ from, to, evalInterval, stepSeconds, secondsLeft }: Estimate, since: number): Pace => {
  const measurementsAfter = (step: number): number => Math.ceil(to / evalInterval) - Math.floor(step / evalInterval);
  const times = [stepSeconds];
  let sum = stepSeconds;
  let stepsPerMeasurement = Math.max(0, (secondsLeft / stepSeconds - (to - from)) / measurementsAfter(from));
  let isMeasured = false;
  let done = from;
  let last = since;
  const perStep = (): number => sum / times.length;
  return {
    step(step, now) {
      const seconds = now - last;
      if (isMeasured) {
        stepsPerMeasurement = Math.max(0, seconds / perStep() - 1);
        isMeasured = false;
      } else {
        times.push(seconds);
        sum += seconds;
      }
      while (times.length > fewestSteps && sum - (times[0] ?? 0) >= recentSeconds) sum -= times.shift() ?? 0;
      done = step;
      last = now;
    },
    measured() {
      isMeasured = true;
    },
    secondsLeft: () => perStep() * (to - done + stepsPerMeasurement * measurementsAfter(done)),
  };
};

/** The time left, in words. Screen readers announce each change, so the seconds change in tens. */
export const wordsOf = (seconds: number): string => {
  if (seconds < 10) return "a few seconds left";
  if (seconds < 90) return `about ${Math.ceil(seconds / 10) * 10} seconds left`;
  return `about ${Math.round(seconds / 60)} minutes left`;
};
