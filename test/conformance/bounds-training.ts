import { attentionHeads, firstSeen, keyRowOf } from "#foretoken/backend/implementations/reference/attention.js";
import { dropoutFactors } from "#foretoken/backend/implementations/reference/dropout.js";
import { asGiven, type Operand } from "#foretoken/backend/implementations/reference/host-args.js";
import type { RealArray } from "#foretoken/core/tensors/dtype.js";
import { epsilon } from "#foretoken/core/tensors/dtype.js";
import type { Bounds } from "./bounds.ts";
import { at, eps, sumError } from "./bounds.ts";

// These loops read millions of products without `at`. Vitest calls an imported function, such as `at`, through a
// getter, which is slow.
/** Results of the last `dot`: a dot product, and the sum of the magnitudes of its terms. */
const sums = { exact: 0, magnitudes: 0 };

const dot = (a: RealArray, aFrom: number, b: RealArray, bFrom: number, n: number): void => {
  let exact = 0;
  let magnitudes = 0;
  for (let i = 0; i < n; i++) {
    const term = (a[aFrom + i] as number) * (b[bFrom + i] as number);
    exact += term;
    magnitudes += Math.abs(term);
  }
  sums.exact = exact;
  sums.magnitudes = magnitudes;
};

/** into[to + c] += factor · |x[from + c]|. */
const addMagnitudes = (
  into: Float64Array,
  to: number,
  factor: number,
  x: RealArray,
  from: number,
  width: number,
): void => {
  for (let c = 0; c < width; c++) into[to + c] = (into[to + c] as number) + factor * Math.abs(x[from + c] as number);
};

interface AttentionRow {
  readonly query: number;
  /** Index in k and v where a key begins. */
  readonly keyOf: (j: number) => number;
  /** Start of the row in out and dOut. */
  readonly outRow: number;
  /** Index of the row in logSumExp. */
  readonly row: number;
  /** Row in the dropout mask. */
  readonly maskRow: number;
  /** The row sees the keys in [oldest, visible). */
  readonly oldest: number;
  readonly visible: number;
}

type AttentionShape = Parameters<typeof attentionHeads>[0] & { readonly causal: number; readonly window: number };

const attentionRows = function* (s: AttentionShape): Generator<AttentionRow> {
  for (const { queries, start, query, key, place, out, stat, index } of attentionHeads(s)) {
    for (let t = 0; t < queries; t++) {
      yield {
        query: query + t * s.queryStride,
        keyOf: (j) => key + keyRowOf(s.pages ?? null, place, j) * s.keyStride,
        outRow: out + t * s.heads * s.headDim,
        row: stat + t,
        maskRow: index * s.queries + t,
        oldest: firstSeen(start + t, s.window),
        visible: start + (s.causal ? t + 1 : queries),
      };
    }
  }
};

interface RowScores {
  /** Exact probabilities. */
  readonly weights: Float64Array;
  /** Maximum error of a score in the row, which is also the relative error of a probability. */
  readonly scoreError: number;
}

const rowScores = (
  args: AttentionShape & { readonly q: RealArray; readonly k: RealArray; readonly scale: number },
  logSumExp: number,
  { query, keyOf, oldest, visible }: AttentionRow,
): RowScores => {
  const { q, k, scale, headDim } = args;
  let largest = Math.abs(logSumExp);
  // This is a loop, because Float64Array.from with a function is far slower.
  const weights = new Float64Array(visible);
  for (let j = oldest; j < visible; j++) {
    dot(q, query, k, keyOf(j), headDim);
    largest = Math.max(largest, Math.abs(scale) * sums.magnitudes);
    weights[j] = Math.exp(scale * sums.exact - logSumExp);
  }
  return { weights, scoreError: sumError(headDim + 4) * largest };
};

/**
 * Relative rounding error of an operand of a product: half the distance between two bfloat16 numbers. The error is 0 if
 * the operand is not rounded.
 */
const operandError = (operand: Operand): number => (operand === asGiven ? 0 : epsilon.bfloat16 / 2);

/**
 * The reference rounds the operands of scores too, so these operands add no error. P and dS are rounded only in the
 * kernel, where they become operands. This rounding adds an error to the products of P and dS: the rounding error of
 * one operand, times the sum of the magnitudes.
 */
export const attentionBounds: Bounds<"attentionForward" | "attentionBackward"> = {
  attentionForward: (given, { logSumExp }) => {
    const { operand } = given;
    const args = { ...given, q: operand(given.q), k: operand(given.k), v: operand(given.v) };
    const { v, headDim } = args;
    const out = new Float64Array(args.out.length);
    const stats = new Float64Array(logSumExp.length);
    const factors = new Float64Array(Math.max(0, ...Array.from(attentionRows(args), (row) => row.visible)));
    for (const position of attentionRows(args)) {
      const { keyOf, outRow, row, maskRow, oldest, visible } = position;
      const { weights, scoreError } = rowScores(args, at(logSumExp, row), position);
      dropoutFactors(args, maskRow, 0, visible, factors);
      const error = 2 * scoreError + sumError(visible + 8) + operandError(operand);
      for (let j = oldest; j < visible; j++) {
        const weight = at(weights, j) * at(factors, j);
        if (weight === 0) continue;
        addMagnitudes(out, outRow, error * weight, v, keyOf(j), headDim);
      }
      stats[row] = scoreError + sumError(visible) + 4 * eps * (1 + Math.abs(at(logSumExp, row)));
    }
    return { out: (i) => at(out, i), logSumExp: (i) => at(stats, i), kept: () => 0 };
  },

  // dS = scale · P ∘ (F ∘ (dO·Vᵀ) − D). The two products may cancel, so the bound uses their magnitudes.
  attentionBackward: (given) => {
    const { operand } = given;
    const rounded = { q: operand(given.q), k: operand(given.k), v: operand(given.v), dOut: operand(given.dOut) };
    const args = { ...given, ...rounded };
    const { dOut, q, k, v, out, logSumExp, headDim, queries, scale } = args;
    const dq = new Float64Array(args.dq.length);
    const dk = new Float64Array(args.dk.length);
    const dv = new Float64Array(args.dv.length);
    const factors = new Float64Array(queries);
    for (const position of attentionRows(args)) {
      const { query, keyOf, outRow, row, maskRow, oldest, visible } = position;
      const { weights, scoreError } = rowScores(args, at(logSumExp, row), position);
      dropoutFactors(args, maskRow, 0, visible, factors);
      const error = 2 * scoreError + sumError(headDim + 8) + sumError(queries);
      dot(dOut, outRow, out, outRow, headDim);
      const { exact: delta, magnitudes: deltaSize } = sums;
      for (let j = oldest; j < visible; j++) {
        const key = keyOf(j);
        const kept = at(weights, j) * at(factors, j);
        dot(dOut, outRow, v, key, headDim);
        const dWeight = at(factors, j) * sums.exact;
        const dWeightSize = at(factors, j) * sums.magnitudes;
        const dScoreError = error * (dWeightSize + deltaSize) + operandError(operand) * Math.abs(dWeight - delta);
        const dScore = Math.abs(scale) * at(weights, j) * dScoreError;
        addMagnitudes(dq, query, dScore, k, key, headDim);
        addMagnitudes(dk, key, dScore, q, query, headDim);
        addMagnitudes(dv, key, (error + operandError(operand)) * kept, dOut, outRow, headDim);
      }
    }
    return { dq: (i) => at(dq, i), dk: (i) => at(dk, i), dv: (i) => at(dv, i) };
  },
};

export const lossBounds: Bounds<"crossEntropyForward" | "crossEntropyBackward" | "adamStep"> = {
  crossEntropyForward: (args, { logSumExp }) => {
    const { logits, targets, columns, first, vocabSize } = args;
    // Rounding x − max changes exp(x − max) by the factor 1 ± u·|x − max|. So the relative error of the sum is u·Σ p·|x
    // − max|. The earlier columns count as one more term.
    const stats = Array.from(logSumExp, (total, r) => {
      const shifts = (x: number): number => (x - total > -200 ? Math.exp(x - total) * Math.abs(x - total) : 0);
      let sum = first > 0 ? shifts(at(args.logSumExp, r)) : 0;
      for (let c = 0; c < columns; c++) sum += shifts(at(logits, r * columns + c));
      return eps * (4 + Math.abs(total) + sum) + sumError(columns);
    });
    return {
      logSumExp: (r) => at(Float64Array.of(stats[r] as number), 0),
      losses: (r) => {
        const target = targets[r] as number;
        if (target < 0 || first + columns < vocabSize) return 0;
        const subtracted = target < first ? at(args.losses, r) : at(logits, r * columns + target - first);
        return (stats[r] as number) + eps * Math.abs(subtracted);
      },
    };
  },

  crossEntropyBackward: ({ logits, targets, logSumExp, dLoss, columns, first }) => ({
    dLogits: (i) => {
      const r = Math.floor(i / columns);
      const target = targets[r] as number;
      if (target < 0) return 0;
      const shift = at(logits, i) - at(logSumExp, r);
      const probability = Math.exp(shift);
      const shiftError = probability === 0 ? 0 : probability * Math.abs(shift);
      const onehot = first + (i % columns) === target ? 1 : 0;
      return eps * Math.abs(at(dLoss, 0)) * (shiftError + 6 * probability + onehot);
    },
  }),

  adamStep: (args, after) => {
    const { param, grad, m, v, beta1, beta2, eps: epsilonTerm, stepSize, sqrtCorrection2 } = args;
    const g = (i: number): number =>
      Math.abs(args.gradScale * at(grad, i)) + Math.abs(args.coupledDecay * at(param, i));
    const mError = (i: number): number => 3 * eps * (beta1 * Math.abs(at(m, i)) + (1 - beta1) * g(i));
    const vError = (i: number): number => 5 * eps * (beta2 * at(v, i) + (1 - beta2) * g(i) ** 2);
    const paramError = (i: number): number => {
      const root = Math.sqrt(at(after.v, i));
      const rootError = root === 0 || root === Infinity ? 0 : vError(i) / (2 * root);
      const denominator = root / sqrtCorrection2 + epsilonTerm;
      const change = Math.abs((stepSize * at(after.m, i)) / denominator);
      const changeError =
        (stepSize * mError(i)) / denominator + change * (rootError / sqrtCorrection2 / denominator + 4 * eps);
      return changeError + 2 * eps * Math.abs(at(param, i));
    };
    return { m: mError, v: vError, param: paramError, rounded: paramError, unreal: () => 0 };
  },
};
