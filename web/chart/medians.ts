/** Medians of blocks of equal length. The medians show the typical value of a noisy curve, such as the speed. */
import type { Points } from "./curve.ts";

/** Medians exist only for at least `leastValues` values. There are at least `fewestBlocks` blocks. */
const leastValues = 200;
const fewestBlocks = 100;

export interface Medians {
  /** Medians of the first `length` values, each at the last x of its block. Undefined if there are too few values. */
  readonly take: (x: ArrayLike<number>, y: Float64Array, length: number) => Points | undefined;
  readonly truncate: (length: number) => void;
}

/** Block size: a power of two, at most about 1% of the values. Powers of two change rarely while values arrive. */
export const blockSize = (length: number): number =>
  length < leastValues ? 1 : 2 ** Math.floor(Math.log2(length / fewestBlocks));

const medianOf = (values: Float64Array): number => {
  const sorted = values.filter(Number.isFinite).sort();
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
};

export const createMedians = (): Medians => {
  let size = 0;
  /** Medians of complete blocks. */
  let known: number[] = [];
  return {
    take(x, y, length) {
      const next = blockSize(length);
      if (next === 1) return undefined;
      if (next !== size) known = [];
      size = next;
      const points = { x: [] as number[], y: [] as number[] };
      for (let from = 0; from < length; from += size) {
        const end = Math.min(length, from + size);
        const median = known[from / size] ?? medianOf(y.subarray(from, end));
        if (end - from === size) known[from / size] = median;
        points.x.push(x[end - 1] as number);
        points.y.push(median);
      }
      return points;
    },
    truncate(length) {
      known = known.slice(0, Math.floor(length / Math.max(1, size)));
    },
  };
};
