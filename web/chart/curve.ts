/** Curves, and the points that a chart of a given width shows. Minima and maxima are always shown. */
import type { Pyramid } from "./pyramid.ts";
import type { Smoothed } from "./smooth.ts";
import { lowerBound } from "./table.ts";

export interface CurveStyle {
  /** Custom property of the style sheet, for example "--series-1". */
  readonly color: string;
  /** Lengths of dashes and gaps; empty for a solid line. Dashes distinguish curves without colour. */
  readonly dash: readonly number[];
  readonly width: number;
  /** Whether each value has a dot. Dots suit curves with few measurements. */
  readonly marks: boolean;
}

export interface Curve {
  readonly key: string;
  readonly label: string;
  /**
   * Shorter names, for places without room for the label: `short` has no names of fields, and `tag` is only a number.
   * Without them, charts cut the label. If one curve of a chart has shorter names, all its curves have them.
   */
  readonly shorter?: { readonly short: string; readonly tag: string } | undefined;
  readonly style: CurveStyle;
  /** Rising. */
  readonly x: ArrayLike<number>;
  readonly y: Float64Array;
  readonly length: number;
  readonly pyramid: Pyramid | undefined;
  /** Moving means, drawn as the line, with a band from the minimum to the maximum of each window. */
  readonly smoothed: Smoothed | undefined;
  /**
   * Medians of the values. If the interval contains enough medians, the line shows the medians. The readings at the
   * cursor and the saved files contain the values themselves.
   */
  readonly medians?: Points | undefined;
  /** Reading without a cursor, for a noisy curve: the median or the mean of the last values. Default: the last value. */
  readonly latest?: number | undefined;
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

/** Whether the chart hides the high start of its curves. Undefined: the chart always shows the start. */
export type Start = "hidden" | "shown" | undefined;

const fewestMedians = 10;

/**
 * All values in the interval. One neighbouring value on each side is included, so that the line reaches the edges of
 * the chart.
 */
const allPoints = ({ x, y }: Curve, from: number, to: number): Points => {
  const points = { x: [] as number[], y: [] as number[] };
  for (let i = from; i < to; i++) {
    points.x.push(x[i] as number);
    points.y.push(y[i] as number);
  }
  return points;
};

/** Lines of means, minima and maxima. The three lines have points at the same x, so the mean stays within the band. */
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
      // The window that ends at the end of a bucket does not cover the whole bucket. The last bucket may be shorter
      // than its window.
      const { min, max } = pyramid.bucket(y, length, level, index);
      const least = Math.min(low[last] as number, y[min] as number);
      push(last, least, Math.max(high[last] as number, y[max] as number));
    }
  }
  return { curve, line, band };
};

/**
 * Medians in an interval, and one neighbouring median on each side. Returns undefined if the interval has too few
 * medians. The line then shows the values themselves.
 */
const shownMedians = ({ medians }: Curve, [low, high]: Interval): Points | undefined => {
  if (medians === undefined) return undefined;
  const { x, y } = medians;
  const from = Math.max(0, lowerBound(x, x.length, low) - 1);
  const to = Math.min(x.length, lowerBound(x, x.length, high) + 2);
  return to - from < fewestMedians ? undefined : { x: x.slice(from, to), y: y.slice(from, to) };
};

/** Points of a curve in an interval of x. Each of the `columns` pixel columns gets at most a few points. */
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
    // The minimum and the maximum are drawn in the order of their x. So the line looks as if all values were drawn.
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
  /** Height of the smoothed line at this x. */
  readonly mean: number | undefined;
}

/** Value at an x, or at the last x before it. Undefined before the first value. */
export const valueAt = ({ x, y, length, smoothed }: Curve, at: number): ValueAt | undefined => {
  const after = lowerBound(x, length, at);
  const index = after < length && x[after] === at ? after : after - 1;
  return index < 0 ? undefined : { x: x[index] as number, y: y[index] as number, mean: smoothed?.mean[index] };
};

/** Explains the lines of smoothed curves. Undefined if no curve is smoothed. */
export const smoothedNote = (curves: readonly Curve[]): string | undefined => {
  const window = curves.find(({ smoothed }) => smoothed !== undefined)?.smoothed?.window;
  if (window === undefined) return undefined;
  return `The line is the mean of the last ${window} values. The band shows the minimum and maximum of these values.`;
};

/**
 * The x of a value that is nearest to `at`, over all curves. The cursor therefore always shows a value. Null if there
 * are no values.
 */
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

/** Interval from the first to the last x of all curves. */
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

/** End of an x axis for curves that will reach step `planned`. */
export const plannedEnd = (last: number, planned: number): number => {
  if (!(last > 0)) return planned;
  const times = Math.floor(Math.log(planned / (1.1 * last)) / Math.log(1.25));
  return Math.max(last, planned * 0.8 ** Math.max(0, times));
};

/**
 * Range of y that holds all drawn points, with a margin. A logarithmic axis uses positive values only.
 * @param leastSpan minimum span of a linear range.
 * @param fromZero whether a linear range begins at 0, if no value is negative.
 * @param highFrom points with a smaller x may be above the range.
 */
export const rangeOf = (
  drawn: readonly DrawnCurve[],
  log: boolean,
  leastSpan = 0,
  fromZero = false,
  highFrom = Number.NEGATIVE_INFINITY,
): Interval => {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  const take = (x: readonly number[], values: readonly number[]) => {
    for (const [i, value] of values.entries()) {
      if (!Number.isFinite(value) || (log && value <= 0)) continue;
      if (value < low) low = value;
      if (value > high && (x[i] as number) >= highFrom) high = value;
    }
  };
  for (const { line, band } of drawn) {
    take(line.x, line.y);
    if (band !== undefined) {
      take(band.x, band.low);
      take(band.x, band.high);
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

/** Share of the x axis that is the start. */
const startShare = 0.1;
/** The start is hidden only if the other values would otherwise get less than this share of the height. */
const leastOfRest = 2 / 3;
/** Minimum number of values of a curve with a start that can be hidden. A shorter curve is readable as a whole. */
const fewestValues = 20;

export interface Heights {
  readonly range: Interval;
  /** Highest value, if it is in a start that is hidden or could be hidden. Otherwise undefined. */
  readonly startsAt: number | undefined;
}

export interface HeightOptions {
  readonly log: boolean;
  readonly zoom: Interval | null;
  readonly leastSpan?: number | undefined;
  readonly fromZero?: boolean | undefined;
  readonly start?: Start;
}

/**
 * Range of y of a chart. A loss falls steeply in its first steps and slowly afterwards. In a range that holds the first
 * steps, the other steps are a flat line. So if `start` is "hidden", a high start is above the range.
 */
export const heightsOf = (
  drawn: readonly DrawnCurve[],
  [first, last]: Interval,
  { log, zoom, leastSpan, fromZero, start }: HeightOptions,
): Heights => {
  if (zoom !== null) return { range: rangeOf(drawn, log), startsAt: undefined };
  const whole = rangeOf(drawn, log, leastSpan, fromZero);
  if (start === undefined || drawn.every(({ curve }) => curve.length < fewestValues))
    return { range: whole, startsAt: undefined };
  const rest = rangeOf(drawn, log, leastSpan, fromZero, first + startShare * (last - first));
  const span = ([low, high]: Interval): number => (log ? Math.log(high / low) : high - low);
  if (!(span(rest) < leastOfRest * span(whole))) return { range: whole, startsAt: undefined };
  const values = drawn.flatMap(({ line, band }) => [...line.y, ...(band?.high ?? [])]);
  return { range: start === "hidden" ? rest : whole, startsAt: Math.max(...values.filter(Number.isFinite)) };
};
