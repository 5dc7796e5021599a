/**
 * Exponential moving average whose weight falls to 1/e within about `window` / 2 values, without the pull towards 0 of its
 * first values (Kingma & Ba 2014, section 3). It goes on from where it was when values are added.
 */

export interface Smoothed {
  readonly values: Float64Array;
  readonly window: number;
}

export interface Smoother {
  /** The averages of the first `length` values, over about `window` of them; undefined where nothing is smoothed. */
  readonly take: (values: Float64Array, length: number, window: number) => Smoothed | undefined;
  readonly truncate: (length: number) => void;
}

export const createSmoother = (): Smoother => {
  let averages = new Float64Array(0);
  let done = 0;
  let doneWindow = 0;
  return {
    take(values, length, window) {
      if (window <= 1) return undefined;
      if (window !== doneWindow) done = 0;
      doneWindow = window;
      if (averages.length < length) {
        const grown = new Float64Array(values.length);
        grown.set(averages.subarray(0, done));
        averages = grown;
      }
      const keep = 1 - 2 / (window + 1);
      let power = keep ** done;
      let sum = done === 0 ? 0 : (averages[done - 1] as number) * (1 - power);
      for (let i = done; i < length; i++) {
        const value = values[i] as number;
        // A value that is not finite would stay in the average for ever.
        sum = keep * sum + (1 - keep) * (Number.isFinite(value) ? value : (averages[i - 1] ?? 0));
        // Far below what a double tells from 1, and before subnormal numbers, which are slow.
        power = power < 1e-30 ? 0 : power * keep;
        averages[i] = sum / (1 - power);
      }
      done = length;
      return { values: averages, window };
    },
    truncate(length) {
      done = Math.min(done, length);
    },
  };
};
