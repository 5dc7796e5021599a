/** Axes: the range of their values, and round values to mark. Nothing is imported here: the studio's page bundles this file. */

/** An axis of a chart. */
export interface Axis {
  /** Where a value is, from 0 (the low end) to 1. */
  readonly placeOf: (value: number) => number;
  /** Round values to mark, within the axis, in ascending order. */
  readonly ticks: readonly number[];
  /** A tick in words. */
  readonly labelOf: (tick: number) => string;
}

/** Removes what floating-point arithmetic adds: 0.30000000000000004 is 0.3. */
const rounded = (value: number): number => Number(value.toPrecision(12));

/** The labels of one axis have one form: thousands or millions where the largest needs it, powers of ten for tiny ones. */
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

/** 1, 2 or 5 times a power of ten: the smallest of them that is at least `least`. */
const roundStep = (least: number): number => {
  const power = 10 ** Math.floor(Math.log10(least));
  return rounded(([1, 2, 5].find((digit) => digit * power >= least * (1 - 1e-9)) ?? 10) * power);
};

/** Part of the range that is free beyond the lowest and the highest value. */
const margin = 0.04;

/** Numbers that differ by less than this part of them are one: ticks have 12 digits. */
const leastPart = 1e-9;
/** Smaller numbers are 0: parts of them would have no digits left. */
const least = 1e-290;

/** About `most` round numbers from `low` to `high`, which is above it, at least `apart` from each other. */
export const linearTicks = (low: number, high: number, most: number, apart = 0): readonly number[] => {
  const step = Math.max(apart, roundStep((high - low) / most));
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  // Of values that hardly differ, several ticks may be one number.
  return [...new Set(Array.from({ length: Math.max(0, count) }, (_, i) => rounded((first + i) * step)))];
};

/** How an axis is made. */
export interface AxisOptions {
  /** About as many ticks at most. */
  readonly ticks: number;
  /** Whether the axis begins at 0, and ends with the highest value. Default false. */
  readonly fromZero?: boolean;
  /** Whether only whole numbers are marked. Default false. */
  readonly whole?: boolean;
}

/** @param low the lowest value, and `high` the highest: they may be equal. */
export const linearAxis = (
  low: number,
  high: number,
  { ticks: most, fromZero = false, whole = false }: AxisOptions,
): Axis => {
  const size = Math.max(Math.abs(low), Math.abs(high));
  const isPoint = high - low < Math.max(leastPart * size, least);
  const free = !isPoint ? (high - low) * margin : size < least ? 1 : size / 10;
  const from = fromZero ? Math.min(0, low) : low - free;
  // An axis from 0 to 0 has a length, too, and one of negative values ends at 0.
  const top = Math.max(0, high);
  const to = !fromZero ? high + free : top - from < least ? from + 1 : top;
  const ticks = linearTicks(from, to, most, whole ? 1 : 0);
  return { placeOf: (value) => (value - from) / (to - from), ticks, labelOf: labelsFor(ticks) };
};

/** 1, 2 and 5 times powers of ten; of many decades every second power, or third. */
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

/** About `most` round numbers for a logarithmic axis from `low`, above 0, to `high`, which is above it. */
export const logTicks = (low: number, high: number, most: number): readonly number[] => {
  const found = powerTicks(low, high, most);
  // Less than a decade may have too few of them.
  return found.length >= 3 ? found : linearTicks(low, high, most);
};

/**
 * @param low the lowest value, above 0.
 * @param most about as many ticks at most.
 */
export const logAxis = (low: number, high: number, most: number): Axis => {
  const [lowest, highest] = [Math.log(low), Math.log(high)];
  const free = highest - lowest < leastPart ? 0.1 : (highest - lowest) * margin;
  const [from, to] = [lowest - free, highest + free];
  // The margin of a range of hundreds of decades would be beyond all numbers.
  const [first, last] = [Math.max(1e-307, Math.exp(from)), Math.min(1e307, Math.exp(to))];
  const ticks = logTicks(first, last, most);
  return { placeOf: (value) => (Math.log(value) - from) / (to - from), ticks, labelOf: labelsFor(ticks) };
};
