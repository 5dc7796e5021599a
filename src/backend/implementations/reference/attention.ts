import type { RealArray } from "../../../core/dtype.ts";
import { wordsOf } from "../../kernels/sizes.ts";
import { dropoutFactors, packMask, unpackMask } from "./dropout.ts";
import type { HostKernels } from "./host-args.ts";

const dot = (a: RealArray, aFrom: number, b: RealArray, bFrom: number, n: number): number => {
  let total = 0;
  for (let i = 0; i < n; i++) total += (a[aFrom + i] as number) * (b[bFrom + i] as number);
  return total;
};

/**
 * Attention, one query of one head at a time: where it is causal, keys after the query are never read.
 *
 * Of the operands of its products only those that are given are rounded. P and dS are operands too, but what a kernel
 * rounds are multiples of them that depend on the order in which it meets the keys, so here they stay as they are.
 */
export const attention: HostKernels<"attentionForward" | "attentionBackward"> = {
  attentionForward(args) {
    const { out, logSumExp, kept, batch, queries, start, heads, headDim, scale, operand } = args;
    const q = operand(args.q);
    const k = operand(args.k);
    const v = operand(args.v);
    const { queryStride, queryBatchStride, keyStride, keyBatchStride } = args;
    const weights = new Float64Array(start + queries);
    const words = wordsOf(start + queries);
    const factors = new Float64Array(32 * words);
    const sums = new Float64Array(headDim);
    for (let b = 0; b < batch; b++) {
      for (let h = 0; h < heads; h++) {
        const keyBase = b * keyBatchStride + h * headDim;
        for (let t = 0; t < queries; t++) {
          const query = b * queryBatchStride + t * queryStride + h * headDim;
          const row = (b * heads + h) * queries + t;
          const visible = args.causal ? start + t + 1 : start + queries;

          let max = -Infinity;
          for (let j = 0; j < visible; j++) {
            const score = scale * dot(q, query, k, keyBase + j * keyStride, headDim);
            weights[j] = score;
            max = Math.max(max, score);
          }
          let total = 0;
          for (let j = 0; j < visible; j++) {
            const weight = Math.exp((weights[j] as number) - max);
            weights[j] = weight;
            total += weight;
          }
          logSumExp[row] = max + Math.log(total);

          const drawn = Math.min(Math.ceil(visible / 64) * 64, factors.length);
          dropoutFactors(args, row, 0, drawn, factors);
          if (kept !== null && args.p > 0)
            packMask(factors, drawn, kept, (b * heads + h) * words * queries + t, queries);
          sums.fill(0);
          for (let j = 0; j < visible; j++) {
            const weight = ((weights[j] as number) / total) * (factors[j] as number);
            const value = keyBase + j * keyStride;
            for (let c = 0; c < headDim; c++) sums[c] = (sums[c] as number) + weight * (v[value + c] as number);
          }
          out.set(sums, ((b * queries + t) * heads + h) * headDim);
        }
      }
    }
  },

  // With P = exp(scale · q·kᵀ − logSumExp), F the dropout factors and O = (F∘P)·V:
  // dV = (F∘P)ᵀ·dO; dS = P ∘ (F ∘ (dO·Vᵀ) − D), D = rowsum(dO ∘ O); dQ = scale · dS·K; dK = scale · dSᵀ·Q
  // (Dao et al. 2022, FlashAttention, appendix B).
  attentionBackward(args) {
    const { out, logSumExp, kept, dq, dk, dv, batch, queries, start, heads, headDim, scale, operand } = args;
    const dOut = operand(args.dOut);
    const q = operand(args.q);
    const k = operand(args.k);
    const v = operand(args.v);
    const { queryStride, queryBatchStride, keyStride, keyBatchStride } = args;
    const keys = start + queries;
    const factors = new Float64Array(keys);
    const querySums = new Float64Array(headDim);
    const keySums = new Float64Array(keys * headDim);
    const valueSums = new Float64Array(keys * headDim);
    for (let b = 0; b < batch; b++) {
      for (let h = 0; h < heads; h++) {
        const keyBase = b * keyBatchStride + h * headDim;
        keySums.fill(0);
        valueSums.fill(0);
        for (let t = 0; t < queries; t++) {
          const query = b * queryBatchStride + t * queryStride + h * headDim;
          const outRow = ((b * queries + t) * heads + h) * headDim;
          const row = (b * heads + h) * queries + t;
          const visible = args.causal ? start + t + 1 : start + queries;
          const delta = dot(dOut, outRow, out, outRow, headDim);
          if (kept === null || args.p === 0) dropoutFactors(args, row, 0, visible, factors);
          else unpackMask(kept, (b * heads + h) * wordsOf(keys) * queries + t, queries, args.p, visible, factors);
          querySums.fill(0);
          for (let j = 0; j < visible; j++) {
            const key = keyBase + j * keyStride;
            const sumsRow = j * headDim;
            const factor = factors[j] as number;
            const weight = Math.exp(scale * dot(q, query, k, key, headDim) - (logSumExp[row] as number));
            const dWeight = factor * dot(dOut, outRow, v, key, headDim);
            const dScore = scale * weight * (dWeight - delta);
            const keptWeight = weight * factor;
            for (let c = 0; c < headDim; c++) {
              querySums[c] = (querySums[c] as number) + dScore * (k[key + c] as number);
              keySums[sumsRow + c] = (keySums[sumsRow + c] as number) + dScore * (q[query + c] as number);
              valueSums[sumsRow + c] = (valueSums[sumsRow + c] as number) + keptWeight * (dOut[outRow + c] as number);
            }
          }
          dq.set(querySums, query);
        }
        for (let j = 0; j < keys; j++) {
          const sumsRow = j * headDim;
          dk.set(keySums.subarray(sumsRow, sumsRow + headDim), keyBase + j * keyStride);
          dv.set(valueSums.subarray(sumsRow, sumsRow + headDim), keyBase + j * keyStride);
        }
      }
    }
  },
};
