/**
 * Encodes blocks of 256 numbers (the K types of GGUF); encodings.ts decodes them. A block is divided into groups of 16
 * or 32 numbers. Each group has a scale, and in some types a minimum. Scales and minima are stored as small integers.
 * The units of scales and minima are one or two binary16 numbers per block. First, each group's ideal scale is fitted
 * separately. The largest ideal scale determines the unit. Two rounds follow. In each round, every group takes the best
 * integer scale near its ideal scale, and least squares refit the units to all groups.
 */
import { nearestLevel, scaleAsHalf, type WriteBlock, writeHalf } from "./blocks-of-32.ts";
import { fitScale, fitScaleAndMinimum } from "./fit.ts";
import { equalWeights, weighBySize } from "./weights.ts";

const length = 256;
const groups = 8;
const width = 32;
const mostScale = 63;

/** The scales that are tried for each group. */
const tries = { count: 5, from: -1.6, to: 0.8 };

/** Number of rounds. Each round chooses integer scales and then refits the units. */
const rounds = 2;

/** Weighted squared error of a group with scale d and minimum m. The group's weights begin at index `wAt` of w. */
const errorOf = (
  x: Float32Array,
  from: number,
  count: number,
  w: Float64Array,
  wAt: number,
  d: number,
  m: number,
  last: number,
): number => {
  const shift = wAt - from;
  const inverse = d === 0 ? 0 : 1 / d;
  const offset = 0.5 - m * inverse;
  let error = 0;
  for (let i = from; i < from + count; i++) {
    const value = x[i] as number;
    let q = (value * inverse + offset) | 0;
    q = q < 0 ? 0 : Math.min(q, last);
    const off = value - (d * q + m);
    error += (w[i + shift] as number) * off * off;
  }
  return error;
};

/**
 * The integer scales and minima of a block's groups, with the squared error. d is the unit of the scales, and dmin is
 * the unit of the minima.
 */
interface Groups {
  readonly scales: Int32Array;
  readonly minima: Int32Array;
  d: number;
  dmin: number;
  error: number;
}

const newGroups = (count: number): Groups => ({
  ...{ scales: new Int32Array(count), minima: new Int32Array(count) },
  ...{ d: 0, dmin: 0, error: Number.POSITIVE_INFINITY },
});

const copyGroups = (from: Groups, to: Groups): void => {
  to.scales.set(from.scales);
  to.minima.set(from.minima);
  to.d = from.d;
  to.dmin = from.dmin;
  to.error = from.error;
};

const clamp = (value: number, least: number, most: number): number => Math.max(least, Math.min(most, value));

/** Chooses each group's best integer scale and minimum near the ideal values, for the units d and dmin of `found`. */
const chooseScales = (
  x: Float32Array,
  from: number,
  w: Float64Array,
  wAt: number,
  last: number,
  wantedScales: Float64Array,
  wantedMinima: Float64Array,
  found: Groups,
): void => {
  const { d, dmin, scales, minima } = found;
  found.error = 0;
  for (let j = 0; j < groups; j++) {
    const scale = d === 0 ? 0 : Math.round((wantedScales[j] as number) / d);
    const minimum = dmin === 0 ? 0 : clamp(Math.round((wantedMinima[j] as number) / dmin), 0, mostScale);
    let least = Number.POSITIVE_INFINITY;
    let [bestScale, bestMinimum] = [0, 0];
    const attempt = (s: number, t: number): void => {
      const error = errorOf(x, from + width * j, width, w, wAt + width * j, d * s, -dmin * t, last);
      if (error >= least) return;
      least = error;
      bestScale = s;
      bestMinimum = t;
    };
    // The scale is searched first, then the minimum. A search of all pairs takes twice as long and reduces the error by
    // only one percent.
    for (let s = clamp(scale - 1, 0, mostScale); s <= clamp(scale + 1, 0, mostScale); s++) attempt(s, minimum);
    if (minimum > 0) attempt(bestScale, minimum - 1);
    if (minimum < mostScale) attempt(bestScale, minimum + 1);
    scales[j] = bestScale;
    minima[j] = bestMinimum;
    found.error += least;
  }
};

/**
 * Refits the units of `found` to its integer scales and levels q. If a refitted unit would not be positive, the units
 * stay unchanged.
 */
const refitUnits = (x: Float32Array, from: number, w: Float64Array, wAt: number, last: number, found: Groups): void => {
  const { d, dmin, scales, minima } = found;
  // x ≈ d·a − dmin·b, with a = scale·q and b = minimum.
  let [aa, ab, bb, xa, xb] = [0, 0, 0, 0, 0];
  for (let j = 0; j < groups; j++) {
    const [s, b] = [scales[j] as number, minima[j] as number];
    const inverse = d * s === 0 ? 0 : 1 / (d * s);
    for (let i = from + width * j; i < from + width * (j + 1); i++) {
      const value = x[i] as number;
      const a = s * nearestLevel(value, inverse, -dmin * b, last);
      const weight = w[i - from + wAt] as number;
      aa += weight * a * a;
      ab += weight * a * b;
      bb += weight * b * b;
      xa += weight * value * a;
      xb += weight * value * b;
    }
  }
  const determinant = aa * bb - ab * ab;
  if (bb === 0 || determinant <= 0) {
    if (aa > 0 && dmin === 0) found.d = scaleAsHalf(xa / aa);
    return;
  }
  const unit = (bb * xa - ab * xb) / determinant;
  const minimumUnit = (ab * xa - aa * xb) / determinant;
  if (unit <= 0 || minimumUnit <= 0) return;
  found.d = scaleAsHalf(unit);
  found.dmin = scaleAsHalf(minimumUnit);
};

const wantedScales = new Float64Array(groups);
const wantedMinima = new Float64Array(groups);
const current = newGroups(groups);
const best = newGroups(groups);
const fitted = { d: 0, m: 0 };

/** Finds the scales of a block for levels q from 0 to last. Writes the result to `best`. */
const fitGroups = (x: Float32Array, from: number, w: Float64Array, wAt: number, last: number): void => {
  let [mostWanted, mostMinimum] = [0, 0];
  for (let j = 0; j < groups; j++) {
    fitScaleAndMinimum(x, from + width * j, width, w, wAt + width * j, last, tries, true, fitted);
    wantedScales[j] = fitted.d;
    wantedMinima[j] = -fitted.m;
    mostWanted = Math.max(mostWanted, fitted.d);
    mostMinimum = Math.max(mostMinimum, -fitted.m);
  }
  current.d = scaleAsHalf(mostWanted / mostScale);
  current.dmin = scaleAsHalf(mostMinimum / mostScale);
  best.error = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    chooseScales(x, from, w, wAt, last, wantedScales, wantedMinima, current);
    if (current.error >= best.error) return;
    copyGroups(current, best);
    refitUnits(x, from, w, wAt, last, current);
    if (current.d === best.d && current.dmin === best.dmin) return;
  }
};

/** Packs a six-bit scale and a six-bit minimum per group into 12 bytes. */
const writeScales = ({ scales, minima }: Groups, bytes: Uint8Array, at: number): void => {
  for (let j = 0; j < 4; j++) {
    const [scale, minimum] = [scales[j + 4] as number, minima[j + 4] as number];
    bytes[at + j] = (scales[j] as number) | ((scale >> 4) << 6);
    bytes[at + 4 + j] = (minima[j] as number) | ((minimum >> 4) << 6);
    bytes[at + 8 + j] = (scale & 15) | ((minimum & 15) << 4);
  }
};

/** Encodes four or five bits per number. A number is d·scale·q − dmin·minimum. */
const writeWithMinima =
  (last: 15 | 31): WriteBlock =>
  (x, from, bytes, at, importance, column) => {
    fitGroups(x, from, importance ?? equalWeights, column, last);
    const { scales, minima } = best;
    const [d, dmin] = [writeHalf(bytes, at, best.d), writeHalf(bytes, at + 2, best.dmin)];
    writeScales(best, bytes, at + 4);
    const low = at + (last === 15 ? 16 : 48);
    for (let j = 0; j < groups; j++) {
      const scale = d * (scales[j] as number);
      const inverse = scale === 0 ? 0 : 1 / scale;
      const m = -dmin * (minima[j] as number);
      const place = low + (j >> 1) * 32;
      for (let i = 0; i < width; i++) {
        const q = nearestLevel(x[from + width * j + i] as number, inverse, m, last);
        bytes[place + i] = (bytes[place + i] as number) | ((q & 15) << ((j & 1) * 4));
        if (last === 31) bytes[at + 16 + i] = (bytes[at + 16 + i] as number) | ((q >> 4) << j);
      }
    }
  };

export const writeQ4K = writeWithMinima(15);
export const writeQ5K = writeWithMinima(31);

const sixGroups = 16;
const sixWidth = 16;
const sixZero = 32;
const sixLast = 63;
const sixWanted = new Float64Array(sixGroups);
const sixScales = new Int32Array(sixGroups);
const sixBest = new Int32Array(sixGroups);
const sizeWeights = new Float64Array(sixWidth);

/** Chooses each group's best integer scale for the unit d. Returns the block's weighted squared error. */
const chooseSixScales = (x: Float32Array, from: number, w: Float64Array, wAt: number, d: number): number => {
  let all = 0;
  for (let j = 0; j < sixGroups; j++) {
    const wanted = d === 0 ? 0 : Math.round((sixWanted[j] as number) / d);
    let least = Number.POSITIVE_INFINITY;
    for (let s = clamp(wanted - 1, -128, 127); s <= clamp(wanted + 1, -128, 127); s++) {
      const scale = d * s;
      const error = errorOf(x, from + sixWidth * j, sixWidth, w, wAt + sixWidth * j, scale, -sixZero * scale, sixLast);
      if (error >= least) continue;
      least = error;
      sixScales[j] = s;
    }
    all += least;
  }
  return all;
};

const refitSixUnit = (x: Float32Array, from: number, w: Float64Array, wAt: number, d: number): number => {
  let [aa, xa] = [0, 0];
  for (let j = 0; j < sixGroups; j++) {
    const s = sixScales[j] as number;
    const scale = d * s;
    const inverse = scale === 0 ? 0 : 1 / scale;
    for (let i = from + sixWidth * j; i < from + sixWidth * (j + 1); i++) {
      const value = x[i] as number;
      const a = s * (nearestLevel(value, inverse, -sixZero * scale, sixLast) - sixZero);
      const weight = w[i - from + wAt] as number;
      aa += weight * a * a;
      xa += weight * value * a;
    }
  }
  return aa === 0 ? d : scaleAsHalf(xa / aa);
};

/** Encodes six bits per number. A number is d·scale·(q − 32), with a scale for every 16 numbers. */
export const writeQ6K: WriteBlock = (x, from, bytes, at, importance, column) => {
  let extreme = 0;
  const w = importance ?? equalWeights;
  for (let j = 0; j < sixGroups; j++) {
    const group = sixWidth * j;
    if (importance === null) weighBySize(x, from + group, sixWidth, sizeWeights, 0);
    const weights = importance ?? sizeWeights;
    const weightsAt = importance === null ? 0 : column + group;
    const scale = fitScale(x, from + group, sixWidth, weights, weightsAt, sixZero, sixLast, tries);
    sixWanted[j] = scale;
    if (Math.abs(scale) > Math.abs(extreme)) extreme = scale;
  }
  let d = scaleAsHalf(extreme / -128);
  let [unit, error] = [0, Number.POSITIVE_INFINITY];
  for (let round = 0; round < rounds; round++) {
    const found = chooseSixScales(x, from, w, column, d);
    if (found >= error) break;
    error = found;
    unit = d;
    sixBest.set(sixScales);
    d = refitSixUnit(x, from, w, column, d);
    if (d === unit) break;
  }
  unit = writeHalf(bytes, at + 208, unit);
  for (let j = 0; j < sixGroups; j++) bytes[at + 192 + j] = sixBest[j] as number;
  for (let i = 0; i < length; i++) {
    const scale = unit * (sixBest[i >> 4] as number);
    const inverse = scale === 0 ? 0 : 1 / scale;
    const q = nearestLevel(x[from + i] as number, inverse, -sixZero * scale, sixLast);
    // Every 128 numbers are divided into four quarters of 32 numbers. The second 32 bytes contain the low bits of
    // quarters 1 and 3, counted from 0.
    const [hundred, quarter, place] = [i >> 7, (i >> 5) & 3, i & 31];
    const low = at + 64 * hundred + 32 * (quarter & 1) + place;
    const high = at + 128 + 32 * hundred + place;
    bytes[low] = (bytes[low] as number) | ((q & 15) << ((quarter >> 1) * 4));
    bytes[high] = (bytes[high] as number) | ((q >> 4) << (2 * quarter));
  }
};
