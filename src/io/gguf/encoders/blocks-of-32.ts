/** Encodes blocks of 32 numbers with four, five or eight bits each; encodings.ts decodes them. */
import { halfBits, halfValue } from "../../half.ts";
import { fitScale, fitScaleAndMinimum, type Tries } from "./fit.ts";
import { equalWeights, type Importance, weighBySize } from "./weights.ts";

/**
 * Writes a block of numbers, from index `from` of `x`, to `bytes` at `at`. The destination bytes must be zero.
 * @param importance importances of the columns of the matrix.
 * @param column the column of the block's first number. 0 without importances.
 */
export type WriteBlock = (
  x: Float32Array,
  from: number,
  bytes: Uint8Array,
  at: number,
  importance: Importance,
  column: number,
) => void;

const length = 32;

/**
 * The scales that are tried. Trying twice as many scales takes twice as long and reduces the squared error by only one
 * percent.
 */
const range = { from: -1.6, to: 0.8 };
const tries = { zero: { count: 5, ...range }, one: { count: 6, ...range }, eight: { count: 4, ...range } };

const sizeWeights = new Float64Array(length);

/** The largest binary16. */
export const largestHalf = 65504;

/** Below this number, neighbouring binary16 numbers differ by more than 1.5 percent. */
const coarse = 2 ** -18;

/**
 * The binary16 number to use for a scale: the nearest number, but a very small scale is rounded up. With a smaller scale,
 * the highest level would be too low for the largest numbers, and with 0 all levels would be equal.
 */
export const scaleAsHalf = (value: number): number => {
  const size = Math.abs(value);
  if (size < coarse) return Math.sign(value) * Math.ceil(size * 2 ** 24) * 2 ** -24;
  return halfValue(halfBits(Math.max(-largestHalf, Math.min(largestHalf, value))));
};

/** Writes the nearest binary16 number. Returns the written number. */
export const writeHalf = (bytes: Uint8Array, at: number, value: number): number => {
  const bits = halfBits(Math.max(-largestHalf, Math.min(largestHalf, value)));
  bytes[at] = bits & 0xff;
  bytes[at + 1] = bits >> 8;
  return halfValue(bits);
};

/** The level q from 0 to `last` for which d·q + m is nearest to x. `inverse` is 1 / d. */
export const nearestLevel = (x: number, inverse: number, m: number, last: number): number => {
  const q = Math.floor((x - m) * inverse + 0.5);
  return q < 0 ? 0 : Math.min(q, last);
};

export const inverseOf = (d: number): number => (d === 0 ? 0 : 1 / d);

/** Offsets in a block: `low` is the offset of the lower four bits, and `high` is the offset of the fifth bits. */
interface Parts {
  readonly high?: number;
  readonly low: number;
}

/**
 * Writes the levels q of 32 numbers. The lower four bits are written to 16 bytes: the low halves contain the first 16
 * numbers, the high halves contain the other 16 numbers. If `high` is given, the fifth bits are written to four bytes.
 */
const writeLevels = (
  x: Float32Array,
  from: number,
  bytes: Uint8Array,
  at: number,
  { high, low }: Parts,
  d: number,
  m: number,
): void => {
  const inverse = inverseOf(d);
  const last = high === undefined ? 15 : 31;
  for (let i = 0; i < length; i++) {
    const q = nearestLevel(x[from + i] as number, inverse, m, last);
    const place = at + low + (i & 15);
    bytes[place] = (bytes[place] as number) | ((q & 15) << (i < 16 ? 0 : 4));
    if (high === undefined) continue;
    const byte = at + high + (i >> 3);
    bytes[byte] = (bytes[byte] as number) | ((q >> 4) << (i & 7));
  }
};

/** The scale d of a block of numbers d·(q − zero). */
const scaleOf = (
  x: Float32Array,
  from: number,
  zero: number,
  tried: Tries,
  importance: Importance,
  column: number,
): number => {
  if (importance === null) weighBySize(x, from, length, sizeWeights, 0);
  return fitScale(x, from, length, importance ?? sizeWeights, column, zero, 2 * zero - 1, tried);
};

/** d·(q − zero) */
const aboutZero =
  (zero: number, tried: Tries, parts: Parts): WriteBlock =>
  (x, from, bytes, at, importance, column) => {
    const d = writeHalf(bytes, at, scaleAsHalf(scaleOf(x, from, zero, tried, importance, column)));
    writeLevels(x, from, bytes, at, parts, d, -zero * d);
  };

const fitted = { d: 0, m: 0 };

/** d·q + m */
const aboveMinimum =
  (last: number, tried: Tries, parts: Parts): WriteBlock =>
  (x, from, bytes, at, importance, column) => {
    fitScaleAndMinimum(x, from, length, importance ?? equalWeights, column, last, tried, false, fitted);
    const d = writeHalf(bytes, at, scaleAsHalf(fitted.d));
    const m = writeHalf(bytes, at + 2, fitted.m);
    writeLevels(x, from, bytes, at, parts, d, m);
  };

export const writeQ4Zero = aboutZero(8, tries.zero, { low: 2 });
export const writeQ4One = aboveMinimum(15, tries.one, { low: 4 });
export const writeQ5Zero = aboutZero(16, tries.zero, { high: 2, low: 6 });
export const writeQ5One = aboveMinimum(31, tries.one, { high: 4, low: 8 });

/** Encodes eight bits per number. A number is d·q. */
export const writeQ8Zero: WriteBlock = (x, from, bytes, at, importance, column) => {
  const d = writeHalf(bytes, at, scaleAsHalf(scaleOf(x, from, 128, tries.eight, importance, column)));
  const inverse = inverseOf(d);
  for (let i = 0; i < length; i++) {
    bytes[at + 2 + i] = nearestLevel(x[from + i] as number, inverse, -128 * d, 255) - 128;
  }
};
