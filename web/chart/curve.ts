/** A curve, and the points of it that a chart of a certain width can show: extremes never vanish. */
import type { Pyramid } from "./pyramid.ts";
import type { Smoothed } from "./smooth.ts";
import { lowerBound } from "./table.ts";

export interface CurveStyle {
  /** A custom property of the style sheet, as "--series-1". */
  readonly color: string;
  /** Lengths of dashes and gaps; none: a full line. Curves differ in it too, not in colour alone. */
  readonly dash: readonly number[];
  readonly width: number;
  /** A dot at each value: for those that are measured now and then. */
  readonly marks: boolean;
}

export interface Curve {
  readonly key: string;
  readonly label: string;
  readonly style: CurveStyle;
  /** Rising. */
  readonly x: ArrayLike<number>;
  readonly y: Float64Array;
  readonly length: number;
  readonly pyramid: Pyramid | undefined;
  /** Means of windows to draw as the line; a band then reaches from the lowest to the highest value of each window. */
  readonly smoothed: Smoothed | undefined;
  /** To draw as the line, where the interval shows more than a few of them; the values themselves are read and saved. */
  readonly medians?: Points | undefined;
}

export interface Points {
  readonly x: readonly number[];
  readonly y: readonly number[];
}

export interface DrawnCurve {
  readonly curve: Curve;
  readonly line: Points;
  readonly band: Band | undefined;
}

export interface Band {
  readonly x: readonly number[];
  readonly low: readonly number[];
  readonly high: readonly number[];
}

export type Interval = readonly [number, number];

const fewestMedians = 10;

/** Every value in the interval, and the neighbours beyond it, where the line leaves the chart. */
const allPoints = ({ x, y }: Curve, from: number, to: number): Points => {
  const points = { x: [] as number[], y: [] as number[] };
  for (let i = from; i < to; i++) {
    points.x.push(x[i] as number);
    points.y.push(y[i] as number);
  }
  return points;
};

/** The lines of means and of extremes, which a mean never leaves: all three turn at the same places. */
const smoothedCurve = (
  curve: Curve,
  pyramid: Pyramid,
  { mean, low, high, window }: Smoothed,
  level: number,
  from: number,
  to: number,
): DrawnCurve => {
  const { x, y, length } = curve;
  const size = 2 ** level;
  const line = { x: [] as number[], y: [] as number[] };
  const band = { x: line.x, low: [] as number[], high: [] as number[] };
  const push = (at: number, least: number, most: number) => {
    line.x.push(x[at] as number);
    line.y.push(mean[at] as number);
    band.low.push(least);
    band.high.push(most);
  };
  push(from, low[from] as number, high[from] as number);
  for (let index = Math.floor(from / size); index * size < to; index++) {
    const last = Math.min(length, (index + 1) * size) - 1;
    if (last === from) continue;
    if (size <= window) push(last, low[last] as number, high[last] as number);
    else {
      // Windows at the ends of buckets would leave out values between them; a short last bucket holds less than its window.
      const { min, max } = pyramid.bucket(y, length, level, index);
      const least = Math.min(low[last] as number, y[min] as number);
      push(last, least, Math.max(high[last] as number, y[max] as number));
    }
  }
  return { curve, line, band };
};

/** Medians in an interval, and the neighbours beyond it; undefined: the values themselves are few enough to be seen there. */
const shownMedians = ({ medians }: Curve, [low, high]: Interval): Points | undefined => {
  if (medians === undefined) return undefined;
  const { x, y } = medians;
  const from = Math.max(0, lowerBound(x, x.length, low) - 1);
  const to = Math.min(x.length, lowerBound(x, x.length, high) + 2);
  return to - from < fewestMedians ? undefined : { x: x.slice(from, to), y: y.slice(from, to) };
};

/** The points of a curve in an interval of x, at most a few for each of `columns` pixel columns. */
export const drawnCurve = (curve: Curve, [low, high]: Interval, columns: number): DrawnCurve => {
  const medians = shownMedians(curve, [low, high]);
  if (medians !== undefined) return { curve, line: medians, band: undefined };
  const { x, y, length, pyramid, smoothed } = curve;
  const from = Math.max(0, lowerBound(x, length, low) - 1);
  const to = Math.min(length, lowerBound(x, length, high) + 2);
  if (pyramid === undefined) return { curve, line: allPoints(curve, from, to), band: undefined };
  const level = Math.max(0, Math.ceil(Math.log2((to - from) / Math.max(1, columns))));
  if (level === 0 && smoothed === undefined) return { curve, line: allPoints(curve, from, to), band: undefined };
  pyramid.extend(y, length);
  if (smoothed !== undefined && from < to) return smoothedCurve(curve, pyramid, smoothed, level, from, to);
  const size = 2 ** level;
  const line = { x: [] as number[], y: [] as number[] };
  for (let index = Math.floor(from / size); index * size < to; index++) {
    const { min, max } = pyramid.bucket(y, length, level, index);
    // Both extremes, in their order, so that the line is the one that all values would draw.
    for (const i of min === max ? [min] : [Math.min(min, max), Math.max(min, max)]) {
      line.x.push(x[i] as number);
      line.y.push(y[i] as number);
    }
  }
  return { curve, line, band: undefined };
};

export interface ValueAt {
  readonly x: number;
  readonly y: number;
  /** Where the line stands there, if it is smoothed. */
  readonly mean: number | undefined;
}

/** The value at an x, or at the last one before it; undefined before the first. */
export const valueAt = ({ x, y, length, smoothed }: Curve, at: number): ValueAt | undefined => {
  const after = lowerBound(x, length, at);
  const index = after < length && x[after] === at ? after : after - 1;
  return index < 0 ? undefined : { x: x[index] as number, y: y[index] as number, mean: smoothed?.mean[index] };
};

/** What the line of smoothed curves is; undefined: none is smoothed. */
export const smoothedNote = (curves: readonly Curve[]): string | undefined => {
  const window = curves.find(({ smoothed }) => smoothed !== undefined)?.smoothed?.window;
  if (window === undefined) return undefined;
  return `The line is the mean of the last ${window} values, the band reaches from their lowest to their highest.`;
};

/** The x of all curves' values that is nearest to `at`, so that a number is never read between two values; null: there is none. */
export const nearestX = (curves: readonly Curve[], at: number): number | null => {
  let nearest: number | null = null;
  for (const { x, length } of curves) {
    const after = lowerBound(x, length, at);
    for (const index of [after - 1, after]) {
      if (index < 0 || index >= length) continue;
      const value = x[index] as number;
      if (nearest === null || Math.abs(value - at) < Math.abs(nearest - at)) nearest = value;
    }
  }
  return nearest;
};

/** From the first to the last x of all curves. */
export const extentOf = (curves: readonly Curve[]): Interval => {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const { x, length } of curves) {
    if (length === 0) continue;
    low = Math.min(low, x[0] as number);
    high = Math.max(high, x[length - 1] as number);
  }
  if (low > high) return [0, 1];
  return low === high ? [low - 0.5, low + 0.5] : [low, high];
};

/**
 * The end of an axis that grows to `planned`: that itself, or 0.8 of it, 0.8 of that, … as long as a tenth of the values up to
 * `last` has room beyond them. So the chart stands still while values come, and they fill most of it.
 */
export const plannedEnd = (last: number, planned: number): number => {
  if (!(last > 0)) return planned;
  const times = Math.floor(Math.log(planned / (1.1 * last)) / Math.log(1.25));
  return Math.max(last, planned * 0.8 ** Math.max(0, times));
};

/**
 * The range of y that holds everything drawn, with a margin. Logarithmic axes take positive values alone.
 * @param leastSpan what a linear range spans at least.
 * @param fromZero whether a linear range begins at 0, of values that are not below it.
 */
export const rangeOf = (drawn: readonly DrawnCurve[], log: boolean, leastSpan = 0, fromZero = false): Interval => {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  const take = (values: readonly number[]) => {
    for (const value of values) {
      if (!Number.isFinite(value) || (log && value <= 0)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  };
  for (const { line, band } of drawn) {
    take(line.y);
    if (band !== undefined) {
      take(band.low);
      take(band.high);
    }
  }
  if (low > high) return log ? [0.1, 10] : [0, 1];
  if (log) {
    const margin = Math.max(1.02, (high / low) ** 0.05);
    return [low / margin, high * margin];
  }
  if (fromZero && low >= 0 && high > 0) return [0, Math.max(leastSpan, 1.05 * high)];
  const own = high === low ? Math.max(Math.abs(high) * 0.05, 1e-9) : (high - low) * 0.05;
  const margin = Math.max(own, (leastSpan - (high - low)) / 2);
  return [low >= 0 ? Math.max(0, low - margin) : low - margin, high + margin];
};
