/** Marks of axes and their labels. src/plot/ticks.ts chooses the marks, as for charts in the terminal. */
import { linearTicks } from "../../src/plot/ticks.ts";
import { count } from "../parts/format.ts";
import type { Interval } from "./curve.ts";

/** How an x axis places and formats its values. */
export interface XAxis {
  /** Formats a single value. */
  readonly text: (value: number) => string;
  /** Formats all marks of the axis with one unit and one number of decimals. */
  readonly texts: (values: readonly number[]) => readonly string[];
  /** Minimum distance between marks. For steps it is 1, because steps are whole numbers. */
  readonly least: number;
  /**
   * If the axis ends at `high`, its marks are multiples of this unit. For example, the unit is 60 if seconds are shown
   * as minutes.
   */
  readonly unitOf: (high: number) => number;
}

const largestOf = (values: readonly number[]): number => Math.max(0, ...values.map(Math.abs));

const units = [
  [1e9, " G"],
  [1e6, " M"],
  [1e3, " K"],
] as const;

const mostDecimals = 6;

/** Number of decimals that the values need. Undefined if the values need too many decimals. */
const decimalsOf = (values: readonly number[]): number | undefined => {
  const sizes = values.map(Math.abs).filter((size) => size > 0);
  const isExact = (decimals: number): boolean =>
    sizes.every((size) => Math.abs(Number(size.toFixed(decimals)) - size) <= 1e-9 * size);
  return Array.from({ length: mostDecimals + 1 }, (_, decimals) => decimals).find(isExact);
};

/**
 * Whether the distances between neighbouring values are equal. The distances are equal on a linear axis, but not
 * between the powers of a logarithmic axis.
 */
const isEven = (values: readonly number[]): boolean => {
  const [first = 0, second = 0] = values;
  const step = second - first;
  return values.every((value, i) => Math.abs(value - first - i * step) <= 1e-6 * Math.abs(step));
};

/** Formats all values as multiples of `unit` with the same number of decimals. 0 gets no unit and no decimals. */
const inUnit = (values: readonly number[], unit: number, name: string): readonly string[] => {
  const parts = values.map((value) => Number((value / unit).toPrecision(12)));
  const decimals = decimalsOf(parts);
  return parts.map((part) =>
    part === 0 ? "0" : `${decimals === undefined ? Number(part.toPrecision(6)) : part.toFixed(decimals)}${name}`,
  );
};

/**
 * Labels of the marks of an axis: 1.2 M, 250 K, 0.012, 3e−4. Evenly spaced marks share one unit and one number of
 * decimals: 4.0, 3.5, 3.0. On a logarithmic axis, each label is as short as possible.
 */
export const tickTexts = (values: readonly number[]): readonly string[] => {
  if (!isEven(values)) return values.flatMap((value) => tickTexts([value]));
  const largest = largestOf(values);
  if (largest === 0) return values.map(() => "0");
  if (largest < 1e-3 || largest >= 1e15) {
    const exponent = Math.floor(Math.log10(largest) + 1e-9);
    return inUnit(values, 10 ** exponent, `e${String(exponent).replace("-", "−")}`);
  }
  const [unit, name] = (largest >= 1e4 ? units.find(([size]) => largest >= size) : undefined) ?? [1, ""];
  return inUnit(values, unit, name);
};

const tickText = (value: number): string => tickTexts([value])[0] ?? "";

const timeUnits = [
  [3600, " h"],
  [60, " min"],
  [1, " s"],
] as const;

/** Largest time unit that fits at least twice. */
const timeUnitOf = (seconds: number): readonly [size: number, name: string] =>
  timeUnits.find(([unit]) => Math.abs(seconds) >= 2 * unit) ?? timeUnits[2];

const same = (): number => 1;

/** Axis of whole numbers. Short numbers have thousands separators. */
export const stepAxis: XAxis = {
  text: (value) => (value < 1e6 ? count(value) : tickText(value)),
  texts: (values) => (largestOf(values) < 1e6 ? values.map(count) : tickTexts(values)),
  least: 1,
  unitOf: same,
};

export const tokenAxis: XAxis = { text: tickText, texts: tickTexts, least: 1, unitOf: same };

/** Seconds as 90 s, 5 min, 2 h. */
export const timeAxis: XAxis = {
  text(seconds) {
    const [unit, name] = timeUnitOf(seconds);
    return `${Number((seconds / unit).toPrecision(3))}${name}`;
  },
  texts: (values) => inUnit(values, ...timeUnitOf(largestOf(values))),
  least: 0,
  unitOf: (high) => timeUnitOf(high)[0],
};

const fewest = 3;

/**
 * If there are too many marks, keeps every second mark, including 0. Keeps all marks if fewer than three would remain.
 */
const thinned = (marks: readonly number[], most: number): readonly number[] => {
  const [first = 0, second = 0] = marks;
  const every = 2 * (second - first);
  const kept = marks.filter((mark) => Math.abs(mark / every - Math.round(mark / every)) < 1e-6);
  return marks.length > most + 1 && kept.length >= fewest ? kept : marks;
};

/**
 * About `most` round marks of a linear axis. There are at least three marks if possible, because one or two marks show
 * no scale.
 */
export const marksOf = ([low, high]: Interval, most: number, least = 0): readonly number[] => {
  const found = [1, 2, 4].map((times) => linearTicks(low, high, times * most, least));
  return thinned(found.find(({ length }) => length >= fewest) ?? linearTicks(low, high, most, least), most);
};

/** About `most` marks of an x axis. */
export const xMarks = ({ least, unitOf }: XAxis, [low, high]: Interval, most: number): readonly number[] => {
  const unit = unitOf(high);
  return marksOf([low / unit, high / unit], most, least).map((mark) => mark * unit);
};
