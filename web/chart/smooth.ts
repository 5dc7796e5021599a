/**
 * Moving mean, minimum and maximum. Each window contains a value and the values before it, `window` values in total.
 * The mean is therefore always between the minimum and the maximum. Each window is the end of one block of `window`
 * values plus the beginning of the next block (van Herk 1992; Gil & Werman 1993). No value is subtracted from a running
 * sum, because after a huge value the difference would have no precision.
 */

export interface Smoothed {
  readonly mean: Float64Array;
  readonly low: Float64Array;
  readonly high: Float64Array;
  readonly window: number;
}

export interface Smoother {
  /** Smooths the first `length` values over windows of `window` values. Undefined if there is nothing to smooth. */
  readonly take: (values: Float64Array, length: number, window: number) => Smoothed | undefined;
  readonly truncate: (length: number) => void;
}

/** Sum of values. Values that are not finite are ignored. */
interface Sum {
  readonly total: number;
  readonly count: number;
  readonly low: number;
  readonly high: number;
}

const nothing: Sum = { total: 0, count: 0, low: Number.POSITIVE_INFINITY, high: Number.NEGATIVE_INFINITY };

const together = (a: Sum, b: Sum): Sum => ({
  total: a.total + b.total,
  count: a.count + b.count,
  low: Math.min(a.low, b.low),
  high: Math.max(a.high, b.high),
});

const sumOf = (value: number): Sum =>
  Number.isFinite(value) ? { total: value, count: 1, low: value, high: value } : nothing;

/** Sums from each value of a block to the end of the block. */
const endsOf = (values: Float64Array, from: number, to: number): readonly Sum[] => {
  const ends: Sum[] = [];
  let sum = nothing;
  for (let i = to - 1; i >= from; i--) {
    sum = together(sumOf(values[i] as number), sum);
    ends.push(sum);
  }
  return ends.reverse();
};

const grown = (array: Float64Array, length: number): Float64Array => {
  if (array.length >= length) return array;
  const larger = new Float64Array(Math.max(length, 2 * array.length));
  larger.set(array);
  return larger;
};

export const createSmoother = (): Smoother => {
  let mean: Float64Array = new Float64Array(0);
  let low: Float64Array = new Float64Array(0);
  let high: Float64Array = new Float64Array(0);
  let done = 0;
  let doneWindow = 0;
  return {
    take(values, length, window) {
      if (window <= 1) return undefined;
      if (window !== doneWindow) done = 0;
      doneWindow = window;
      mean = grown(mean, length);
      low = grown(low, length);
      high = grown(high, length);
      // Starts at the beginning of the last incomplete block.
      for (let block = Math.floor(done / window) * window; block < length; block += window) {
        const ends = endsOf(values, Math.max(0, block - window), block);
        let begin = nothing;
        for (let i = block; i < Math.min(length, block + window); i++) {
          begin = together(begin, sumOf(values[i] as number));
          const { total, count, low: least, high: most } = together(ends[i - block + 1] ?? nothing, begin);
          mean[i] = count === 0 ? Number.NaN : total / count;
          low[i] = count === 0 ? Number.NaN : least;
          high[i] = count === 0 ? Number.NaN : most;
        }
      }
      done = length;
      return { mean, low, high, window };
    },
    truncate(length) {
      done = Math.min(done, length);
    },
  };
};
