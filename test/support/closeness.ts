import { expect } from "vitest";
import { epsilon } from "#foretoken/core/tensors/dtype.js";

/** Difference of two arrays, in multiples of a tolerance. */
export interface Closeness {
  readonly ratio: number;
  readonly message: string;
}

/** Index of the element with the largest error. A NaN counts as an infinite error. */
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
 * Number of terms of all sums on the path from a value to a logit. In each layer these are the products and two norms.
 * The products have C terms for Q, K and V, D and T terms in attention, C terms for the projection, and C and 4C terms
 * in the MLP. The last sums are the final norm and the output head.
 */
const forwardLength = ({ contextLength: T, nEmbd: C, nHead: H, nLayer: L }: PassSizes): number =>
  L * (C + C / H + T + C + C + 4 * C + 2 * C) + 2 * C;

/**
 * Allowed difference of two float32 implementations, relative to the largest element of the result. If errors are
 * independent, the rounding error of a sum of n terms in any order grows like ε·√n (Higham 2002, §2.8). The errors of
 * consecutive sums add in the same way. So n is the number of terms of all sums: in the forward pass, in the backward
 * pass, and in the sum over rows.
 */
export const forwardError = (sizes: PassSizes): number => epsilon.float32 * Math.sqrt(forwardLength(sizes));
export const gradientError = (sizes: PassSizes, rows: number): number =>
  epsilon.float32 * Math.sqrt(2 * forwardLength(sizes) + sizes.vocabSize + rows);

/**
 * Throws if an array exceeds its tolerance. The message describes the array with the largest excess. If
 * FORETOKEN_REPORT is set, prints the array that is nearest to its tolerance. The output shows how much smaller the
 * tolerances could be.
 */
export const expectClose = (title: string, found: readonly Closeness[]): void => {
  for (const { ratio, message } of found) expect(ratio, message).toBeLessThanOrEqual(1);
  if (process.env.FORETOKEN_REPORT === undefined) return;
  const worst = found.reduce((a, b) => (b.ratio > a.ratio ? b : a));
  console.log(`${title}: ${worst.ratio.toFixed(3)} of the tolerance; ${worst.message}`);
};
