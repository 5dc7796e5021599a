/**
 * Axes: the range of each axis, and round values for its ticks. This file imports nothing, because the studio's page
 * bundles it.
 */

/** An axis of a chart. */
export interface Axis {
  /** Position of a value on the axis: 0 is the low end, 1 the high end. */
  readonly placeOf: (value: number) => number;
  /** Values of the ticks: round values within the axis, in ascending order. */
  readonly ticks: readonly number[];
  /** Returns the label of a tick. */
  readonly labelOf: (tick: number) => string;
}

/** Removes rounding errors of floating-point arithmetic: 0.30000000000000004 becomes 0.3. */
const rounded = (value: number): number => Number(value.toPrecision(12));

/**
 * All labels of an axis have the same format. Labels are in thousands or millions if the largest tick needs it, and in
 * powers of ten for tiny ticks.
 */
const labelsFor = (ticks: readonly number[]): ((tick: number) => string) => {
  const largest = Math.max(0, ...ticks.map((tick) => Math.abs(tick)));
  const inUnits = (unit: number, name: string) => (tick: number) =>
    tick === 0 ? "0" : `${rounded(tick / unit).toLocaleString("en-US", { maximumFractionDigits: 6 })}${name}`;
  if (largest >= 1e15) return (tick) => rounded(tick).toExponential();
  if (largest >= 1e12) return inUnits(1e12, "T");
  if (largest >= 1e9) return inUnits(1e9, "G");
  if (largest >= 1e6) return inUnits(1e6, "M");
  if (largest >= 1e4) return inUnits(1e3, "k");
  if (largest < 0.01) return (tick) => (tick === 0 ? "0" : rounded(tick).toExponential());
  return inUnits(1, "");
};

/** The smallest number of at least `least` that is 1, 2 or 5 times a power of ten. */
const roundStep = (least: number): number => {
  const power = 10 ** Math.floor(Math.log10(least));
  return rounded(([1, 2, 5].find((digit) => digit * power >= least * (1 - 1e-9)) ?? 10) * power);
};

/** Space below the lowest value and above the highest value, as a share of the range. */
const margin = 0.04;

/** Numbers with a smaller relative difference than this count as equal, because ticks have 12 digits. */
const leastPart = 1e-9;
/** Numbers smaller than this count as 0, because fractions of them would lose all digits. */
const least = 1e-290;

/** About `most` round numbers from `low` to `high`, with a distance of at least `apart`. `high` must be above `low`. */
export const linearTicks = (low: number, high: number, most: number, apart = 0): readonly number[] => {
  const step = Math.max(apart, roundStep((high - low) / most));
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  // If the values are almost equal, several ticks may round to the same number.
  return [...new Set(Array.from({ length: Math.max(0, count) }, (_, i) => rounded((first + i) * step)))];
};

/** Options of an axis. */
export interface AxisOptions {
  /** Approximate maximum number of ticks. */
  readonly ticks: number;
  /** Whether the axis begins at 0 and ends at the highest value. Default: false. */
  readonly fromZero?: boolean;
  /** Whether ticks are only at whole numbers. Default: false. */
  readonly whole?: boolean;
}

/** @param low lowest value. @param high highest value, which may be equal to `low`. */
export const linearAxis = (
  low: number,
  high: number,
  { ticks: most, fromZero = false, whole = false }: AxisOptions,
): Axis => {
  const size = Math.max(Math.abs(low), Math.abs(high));
  const isPoint = high - low < Math.max(leastPart * size, least);
  const free = !isPoint ? (high - low) * margin : size < least ? 1 : size / 10;
  const from = fromZero ? Math.min(0, low) : low - free;
  // An axis from 0 to 0 gets a length. An axis of negative values ends at 0.
  const top = Math.max(0, high);
  const to = !fromZero ? high + free : top - from < least ? from + 1 : top;
  const ticks = linearTicks(from, to, most, whole ? 1 : 0);
  return { placeOf: (value) => (value - from) / (to - from), ticks, labelOf: labelsFor(ticks) };
};

/**
 * Ticks at 1, 2 and 5 times powers of ten. If these are too many ticks, ticks are at 1 and 3 times powers of ten, at
 * all powers of ten, or only at some powers of ten.
 */
const powerTicks = (low: number, high: number, most: number): readonly number[] => {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const decades = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const within = (digits: readonly number[], every: number): readonly number[] =>
    decades
      .filter((decade) => decade % every === 0)
      .flatMap((decade) => digits.map((digit) => rounded(digit * 10 ** decade)))
      .filter((tick) => tick >= low && tick <= high);
  const forms = [within([1, 2, 5], 1), within([1, 3], 1), within([1], 1), within([1], 2), within([1], 3)];
  return forms.find((ticks) => ticks.length <= most) ?? within([1], Math.ceil(decades.length / most));
};

/**
 * About `most` round numbers for a logarithmic axis from `low` to `high`. `low` must be above 0, and `high` above
 * `low`.
 */
export const logTicks = (low: number, high: number, most: number): readonly number[] => {
  const found = powerTicks(low, high, most);
  // A range of less than a decade may contain too few of these numbers.
  return found.length >= 3 ? found : linearTicks(low, high, most);
};

/**
 * @param low lowest value, above 0.
 * @param most approximate maximum number of ticks.
 */
export const logAxis = (low: number, high: number, most: number): Axis => {
  const [lowest, highest] = [Math.log(low), Math.log(high)];
  const free = highest - lowest < leastPart ? 0.1 : (highest - lowest) * margin;
  const [from, to] = [lowest - free, highest + free];
  // A range of hundreds of decades would exceed the range of numbers if the margin were added.
  const [first, last] = [Math.max(1e-307, Math.exp(from)), Math.min(1e307, Math.exp(to))];
  const ticks = logTicks(first, last, most);
  return { placeOf: (value) => (Math.log(value) - from) / (to - from), ticks, labelOf: labelsFor(ticks) };
};
