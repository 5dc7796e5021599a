// The time until the end of a training.

/** What is known about the time of a training. Times are in seconds. */
export interface Pace {
  /** The step at which the library estimated the remaining time. */
  readonly from: number;
  /** The planned last step. */
  readonly to: number;
  /** The library's estimate. */
  readonly estimated: number;
}

/**
 * Seconds until the end of a training. Until the first measurement of the loss, they follow from the library's
 * estimate. After it, they follow from the time of the steps so far, which then includes a measurement.
 * @param elapsed seconds since `from`
 */
export const secondsLeft = (pace: Pace, step: number, elapsed: number, isMeasured: boolean): number => {
  const { from, to, estimated } = pace;
  const perStep = isMeasured ? elapsed / (step - from) : estimated / (to - from);
  return perStep * (to - step);
};

/** The time left, in words. Screen readers announce each change, so the seconds change in tens. */
export const wordsOf = (seconds: number): string => {
  if (seconds < 10) return "a few seconds left";
  if (seconds < 90) return `about ${Math.ceil(seconds / 10) * 10} seconds left`;
  return `about ${Math.round(seconds / 60)} minutes left`;
};
