/**
 * Minimum and maximum of 2, 4, 8, … neighbouring values, stored as indices. A curve is drawn from the level at which a
 * bucket is about one pixel wide. So the cost of a redraw depends on the width of the chart, not on the number of
 * values. Buckets begin at multiples of their size, so they do not move while a curve grows.
 */

interface Level {
  min: Uint32Array;
  max: Uint32Array;
  count: number;
}

export interface Extremes {
  readonly min: number;
  readonly max: number;
}

export interface Pyramid {
  /** Adds values that were appended to `values`. */
  readonly extend: (values: Float64Array, length: number) => void;
  /** Removes buckets that contain values at or after index `length`. */
  readonly truncate: (length: number) => void;
  /** Indices of the minimum and maximum of bucket `index` at `level`. The bucket has 2^level values. */
  readonly bucket: (values: Float64Array, length: number, level: number, index: number) => Extremes;
}

/** If one of the two numbers is NaN, the other number is chosen. */
const smaller = (values: Float64Array, a: number, b: number): number => {
  const other = values[b] as number;
  return other < (values[a] as number) || Number.isNaN(values[a]) ? b : a;
};
const larger = (values: Float64Array, a: number, b: number): number => {
  const other = values[b] as number;
  return other > (values[a] as number) || Number.isNaN(values[a]) ? b : a;
};

const withRoom = (array: Uint32Array, count: number): Uint32Array => {
  if (count <= array.length) return array;
  const grown = new Uint32Array(Math.max(count, 2 * array.length, 64));
  grown.set(array);
  return grown;
};

export const createPyramid = (): Pyramid => {
  const levels: Level[] = [];

  const extendLevel = (values: Float64Array, length: number, k: number): void => {
    const level = levels[k] ?? { min: new Uint32Array(0), max: new Uint32Array(0), count: 0 };
    levels[k] = level;
    const below = levels[k - 1];
    const count = Math.floor(length / 2 ** (k + 1));
    level.min = withRoom(level.min, count);
    level.max = withRoom(level.max, count);
    for (let i = level.count; i < count; i++) {
      const [a, b] = [2 * i, 2 * i + 1];
      level.min[i] =
        below === undefined ? smaller(values, a, b) : smaller(values, below.min[a] ?? 0, below.min[b] ?? 0);
      level.max[i] = below === undefined ? larger(values, a, b) : larger(values, below.max[a] ?? 0, below.max[b] ?? 0);
    }
    level.count = count;
  };

  return {
    extend(values, length) {
      for (let k = 0; 2 ** (k + 1) <= length; k++) extendLevel(values, length, k);
    },
    truncate(length) {
      for (const [k, level] of levels.entries()) level.count = Math.min(level.count, Math.floor(length / 2 ** (k + 1)));
    },
    bucket(values, length, level, index) {
      const kept = levels[level - 1];
      if (kept !== undefined && index < kept.count) return { min: kept.min[index] ?? 0, max: kept.max[index] ?? 0 };
      const size = 2 ** level;
      const first = index * size;
      let min = first;
      let max = first;
      for (let i = first + 1; i < Math.min(length, first + size); i++) {
        min = smaller(values, min, i);
        max = larger(values, max, i);
      }
      return { min, max };
    },
  };
};
