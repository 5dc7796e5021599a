import { expect } from "vitest";
import { epsilon } from "#foretoken/core/tensors/dtype.js";

/** How far from one another two arrays are, in units of a tolerance. */
export interface Closeness {
  readonly ratio: number;
  readonly message: string;
}

/** The element that is furthest off; a NaN is infinitely far. */
export const furthest = (
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
): Closeness => {
  let worst = -1;
  let ratio = actual.length === expected.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < expected.length && ratio < Number.POSITIVE_INFINITY; i++) {
    const distance = Math.abs((actual[i] as number) - (expected[i] as number)) / tolerance;
    if (!(distance <= ratio)) {
      worst = i;
      ratio = Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance;
    }
  }
  const message = `${what}[${worst}]: expected ${expected[worst]} ± ${tolerance}, got ${actual[worst]}`;
  return { ratio, message };
};

export const largest = (values: ArrayLike<number>): number => {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i] as number));
  return most;
};

export interface PassSizes {
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly nEmbd: number;
  readonly nHead: number;
  readonly nLayer: number;
}

/**
 * Lengths of all sums that a value passes through on its way to a logit: the products of each block (C for Q, K and V,
 * D and T in attention, C for the projection, C and 4C in the MLP), two norms, and the head.
 */
const forwardLength = ({ contextLength: T, nEmbd: C, nHead: H, nLayer: L }: PassSizes): number =>
  L * (C + C / H + T + C + C + 4 * C + 2 * C) + 2 * C;

/**
 * The allowed difference of two float32 implementations, relative to the largest element of the result. A sum of n
 * terms in any order has a rounding error that grows like ε·√n when errors are independent (Higham 2002, §2.8), and
 * errors of sums in a row add the same way, so n counts all of them: forward, back again, and over the rows.
 */
export const forwardError = (sizes: PassSizes): number => epsilon.float32 * Math.sqrt(forwardLength(sizes));
export const gradientError = (sizes: PassSizes, rows: number): number =>
  epsilon.float32 * Math.sqrt(2 * forwardLength(sizes) + sizes.vocabSize + rows);

/**
 * Fails with the message of whichever is further off than its tolerance. With FORETOKEN_REPORT set it prints the one
 * that comes closest to failing: how much room the tolerances leave.
 */
export const expectClose = (title: string, found: readonly Closeness[]): void => {
  for (const { ratio, message } of found) expect(ratio, message).toBeLessThanOrEqual(1);
  if (process.env.FORETOKEN_REPORT === undefined) return;
  const worst = found.reduce((a, b) => (b.ratio > a.ratio ? b : a));
  console.log(`${title}: ${worst.ratio.toFixed(3)} of the tolerance; ${worst.message}`);
};
