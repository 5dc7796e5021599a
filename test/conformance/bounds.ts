import { isKept } from "#foretoken/backend/implementations/reference/dropout.js";
import { elementwise } from "#foretoken/backend/implementations/reference/elementwise.js";
import { embedding } from "#foretoken/backend/implementations/reference/embedding.js";
import type { HostArgs } from "#foretoken/backend/implementations/reference/host-args.js";
import { products } from "#foretoken/backend/implementations/reference/products.js";
import type { KernelName, KernelTable } from "#foretoken/backend/kernels/kernels.js";
import type { RealArray } from "#foretoken/core/tensors/dtype.js";
import { epsilon } from "#foretoken/core/tensors/dtype.js";

/**
 * Maximum difference between a float32 kernel's result and the exact result. With the unit roundoff u = ε/2, a sum of n
 * products in any order has an error of at most about n·u·Σ|aᵢbᵢ| (Higham 2002, Accuracy and Stability of Numerical
 * Algorithms, §3.1). To compute Σ|aᵢbᵢ|, the reference kernel gets the magnitudes as inputs. The other errors follow
 * from the terms of each formula.
 */

/** The tolerance of element i. */
export type Tolerance = (i: number) => number;

type Written<K extends KernelName> = {
  [N in keyof KernelTable[K]["buffers"]]: KernelTable[K]["buffers"][N] extends { access: "in" } ? never : N;
}[keyof KernelTable[K]["buffers"]];

/**
 * Tolerances of all outputs of kernel K. The tolerances are computed from the arguments before and after the reference
 * kernel.
 */
export type Bounds<Names extends KernelName> = {
  readonly [K in Names]: (before: HostArgs<K>, after: HostArgs<K>) => { readonly [N in Written<K>]: Tolerance };
};

export const eps = epsilon.float32;
/** Relative error of a sum of n terms, including the rounding of each term. */
export const sumError = (n: number): number => ((n + 4) * eps) / 2;

export const at = (array: RealArray, i: number): number => array[i] as number;
// This is a loop, because Float64Array.from with a function is far slower and allocates much memory.
export const magnitudes = (array: RealArray): Float64Array => {
  const result = new Float64Array(array.length);
  for (let i = 0; i < result.length; i++) result[i] = Math.abs(at(array, i));
  return result;
};
export const maybeMagnitudes = (array: RealArray | null): Float64Array | null =>
  array === null ? null : magnitudes(array);

const exact: Tolerance = () => 0;
const relative =
  (factor: number, array: RealArray | null): Tolerance =>
  (i) =>
    array === null ? 0 : factor * eps * Math.abs(at(array, i));
export const scaled =
  (factor: number, array: RealArray | null): Tolerance =>
  (i) =>
    array === null ? 0 : factor * at(array, i);

export const simpleBounds: Bounds<
  | "fill"
  | "add"
  | "combine"
  | "copyRows"
  | "placeRows"
  | "sum"
  | "sumOfSquares"
  | "addSquares"
  | "scaleByNorm"
  | "dropout"
  | "embeddingForward"
  | "embeddingBackward"
> = {
  fill: () => ({ y: exact }),
  add: () => ({ y: exact }),
  combine: ({ a, b, alpha, beta }) => ({
    y: (i) => 2 * eps * (Math.abs(alpha * at(a, i)) + Math.abs(beta * at(b, i))),
    unreal: exact,
  }),
  copyRows: () => ({ y: exact }),
  placeRows: () => ({ y: exact }),

  sum: ({ x, n }) => {
    const y = new Float64Array(1);
    elementwise.sum({ x: magnitudes(x), y, n });
    return { y: scaled(sumError(n), y) };
  },

  sumOfSquares: ({ n }, { y }) => ({ y: scaled(sumError(n), y) }),

  // Each x is rounded before it is squared.
  addSquares: ({ n }, { squares }) => ({ x: exact, squares: scaled(sumError(n + 2), squares) }),

  // The reciprocal and the product are rounded separately.
  scaleByNorm: (_, { y }) => ({ y: relative(2, y) }),

  // The factor and the product are rounded separately. A dropped element is exactly 0, so its tolerance is 0.
  dropout: (_, { y }) => ({ y: relative(2, y) }),

  // A factor other than 1 is rounded to float32. Each product and each sum is also rounded.
  embeddingForward: (args, { y }) => {
    if (args.scale === 1) return { y: exact };
    const sizes = new Float64Array(y.length);
    const positions = maybeMagnitudes(args.positions);
    embedding.embeddingForward({ ...args, tokens: magnitudes(args.tokens), positions, y: sizes });
    return { y: scaled(2 * eps, sizes) };
  },

  embeddingBackward: (args) => {
    const dTokens = maybeMagnitudes(args.dTokens);
    const dPositions = maybeMagnitudes(args.dPositions);
    embedding.embeddingBackward({ ...args, dy: magnitudes(args.dy), dTokens, dPositions });
    const error = sumError(args.rows + 2);
    return { dTokens: scaled(error, dTokens), dPositions: scaled(error, dPositions) };
  },
};

export const layerBounds: Bounds<
  | "linearForward"
  | "linearGeluForward"
  | "linearDropoutForward"
  | "linearBackwardInput"
  | "linearDropoutBackwardInput"
  | "linearBackwardWeight"
  | "layerNormForward"
  | "layerNormBackward"
  | "geluForward"
  | "geluBackward"
> = {
  linearForward: (args) => {
    const y = new Float64Array(args.y.length);
    const bias = maybeMagnitudes(args.bias);
    const addend = maybeMagnitudes(args.addend);
    products.linearForward({ ...args, x: magnitudes(args.x), w: magnitudes(args.w), bias, addend, y });
    return { y: scaled(sumError(args.k + 2), y) };
  },

  // In both variants of GELU, the slope is below 1.13, and the derivative of the slope is below 0.8. These limits bound
  // the effect of an error in h.
  linearGeluForward: (args, { y }) => {
    const sizes = new Float64Array(args.y.length);
    const bias = maybeMagnitudes(args.bias);
    const given = { ...args, x: magnitudes(args.x), w: magnitudes(args.w), bias };
    products.linearForward({ ...given, addend: null, y: sizes });
    const passed = (i: number): number => 1.2 * sumError(args.k + 1) * at(sizes, i);
    return {
      y: (i) => passed(i) + 4 * eps * (Math.min(at(sizes, i), 8) + Math.abs(at(y, i))),
      slope: (i) => passed(i) + 16 * eps,
    };
  },

  // The masks must be equal. A dropped element equals its addend exactly, so its product gets no tolerance.
  linearDropoutForward: (args, { kept, y }) => {
    const sizes = new Float64Array(args.y.length);
    const bias = maybeMagnitudes(args.bias);
    const given = { ...args, x: magnitudes(args.x), w: magnitudes(args.w), bias };
    products.linearForward({ ...given, addend: null, y: sizes });
    const passed = (i: number): number => (isKept(kept, i) ? at(sizes, i) / (1 - args.p) : 0);
    return {
      y: (i) => (sumError(args.k + 1) + 3 * eps) * passed(i) + eps * Math.abs(at(y, i)),
      kept: exact,
    };
  },

  linearBackwardInput: (args) => {
    const dx = magnitudes(args.dx);
    const factor = maybeMagnitudes(args.factor);
    products.linearBackwardInput({ ...args, dy: magnitudes(args.dy), w: magnitudes(args.w), factor, dx });
    return { dx: scaled(sumError(args.n + 1), dx) };
  },

  // A dropped element must be exactly 0.
  linearDropoutBackwardInput: (args, { dBranch }) => {
    const dx = new Float64Array(args.dx.length);
    const factor = maybeMagnitudes(args.factor);
    products.linearBackwardInput({ ...args, dy: magnitudes(dBranch), w: magnitudes(args.w), factor, dx, add: 0 });
    return { dBranch: relative(2, dBranch), dx: scaled(sumError(args.n + 1), dx) };
  },

  linearBackwardWeight: (args) => {
    const dw = magnitudes(args.dw);
    const dBias = maybeMagnitudes(args.dBias);
    products.linearBackwardWeight({ ...args, dy: magnitudes(args.dy), x: magnitudes(args.x), dw, dBias });
    const error = sumError(args.m + 1);
    return { dw: scaled(error, dw), dBias: scaled(error, dBias) };
  },

  layerNormForward: ({ x, gamma, beta, channels }, { mean, rstd }) => {
    const row = (i: number): number => Math.floor(i / channels);
    // The error of the mean is relative to the mean magnitude. If the values are far from zero, the deviations lose
    // digits.
    const meanError = (r: number): number => {
      let total = 0;
      for (let c = 0; c < channels; c++) total += Math.abs(at(x, r * channels + c));
      return (sumError(channels) * total) / channels;
    };
    // var is the mean of squared deviations. An error δ of the mean adds δ² to var. The other effect of δ is 2δ·u·…,
    // which sumError covers.
    const rstdError = (r: number): number => sumError(channels) + (meanError(r) * at(rstd, r)) ** 2;
    const errors = Array.from(mean, (_, r) => ({ mean: meanError(r), rstd: rstdError(r) }));
    const errorsOf = (r: number) => errors[r] as { mean: number; rstd: number };
    return {
      mean: (r) => errorsOf(r).mean,
      rstd: (r) => errorsOf(r).rstd * at(rstd, r),
      y: (i) => {
        const r = row(i);
        const c = i % channels;
        const g = Math.abs(at(gamma, c));
        const normalised = Math.abs(at(x, i) - at(mean, r)) * at(rstd, r);
        const shift = beta === null ? 0 : Math.abs(at(beta, c));
        const error = errorsOf(r);
        return g * at(rstd, r) * error.mean + (error.rstd + 2 * eps) * g * normalised + eps * shift;
      },
    };
  },

  layerNormBackward: ({ dy, x, gamma, mean, rstd, dGamma, dBeta, rows, channels, add }, after) => {
    const gammaSums = maybeMagnitudes(dGamma);
    const betaSums = maybeMagnitudes(dBeta);
    const dx = new Float64Array(rows * channels);
    for (let r = 0; r < rows; r++) {
      let g = 0;
      let gx = 0;
      for (let c = 0; c < channels; c++) {
        const i = r * channels + c;
        const normalised = Math.abs(at(x, i) - at(mean, r)) * at(rstd, r);
        const d = Math.abs(at(dy, i));
        g += (d * Math.abs(at(gamma, c))) / channels;
        gx += (d * Math.abs(at(gamma, c)) * normalised) / channels;
        if (gammaSums !== null) gammaSums[c] = at(gammaSums, c) + d * normalised;
        if (betaSums !== null) betaSums[c] = at(betaSums, c) + d;
      }
      for (let c = 0; c < channels; c++) {
        const i = r * channels + c;
        const normalised = Math.abs(at(x, i) - at(mean, r)) * at(rstd, r);
        const own = Math.abs(at(dy, i) * at(gamma, c));
        dx[i] = at(rstd, r) * (2 * eps * own + sumError(channels + 4) * (g + normalised * gx));
        if (add && after.dx !== null) dx[i] = at(dx, i) + eps * Math.abs(at(after.dx, i));
      }
    }
    const error = sumError(rows + 4);
    return { dx: scaled(1, dx), dGamma: scaled(error, gammaSums), dBeta: scaled(error, betaSums) };
  },

  // Φ is a sum of terms of size 1, so its absolute error is a few ε. Beyond |x| = 8, Φ is 0 or 1.
  geluForward: ({ x }, { y }) => ({
    y: (i) => 4 * eps * (Math.min(Math.abs(at(x, i)), 8) + Math.abs(at(y, i))),
  }),
  geluBackward: ({ x, dy }) => ({
    dx: (i) => 8 * eps * Math.abs(at(dy, i)) * (1 + Math.min(Math.abs(at(x, i)), 1)),
  }),
};
