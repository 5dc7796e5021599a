import type { RealArray } from "../../../core/tensors/dtype.ts";
import { pageRows, wordsOf } from "../../kernels/sizes.ts";
import { dropoutFactors, packMask, unpackMask } from "./dropout.ts";
import type { HostKernels } from "./host-args.ts";

const dot = (a: RealArray, aFrom: number, b: RealArray, bFrom: number, n: number): number => {
  let total = 0;
  for (let i = 0; i < n; i++) total += (a[aFrom + i] as number) * (b[bFrom + i] as number);
  return total;
};

interface AttentionShape {
  readonly batch: number;
  readonly queries: number;
  readonly start: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly headDim: number;
  readonly queryStride: number;
  readonly queryBatchStride: number;
  readonly keyStride: number;
  readonly keyBatchStride: number;
  readonly rows: number;
  readonly segments: Int32Array | null;
  /** Absent in a backward call. */
  readonly pages?: Int32Array | null;
}

/**
 * Row of key `j`, counted from the first row of the sequence. With pages, the row is counted from the first row of all
 * pages.
 */
export const keyRowOf = (pages: Int32Array | null, place: number, j: number): number =>
  pages === null ? j : (pages[place + Math.floor(j / pageRows)] as number) * pageRows + (j % pageRows);

/** The first key that the query at a position sees. */
export const firstSeen = (position: number, window: number): number =>
  window === 0 ? 0 : Math.max(0, position - window + 1);

/** One head of one sequence in a call: the sequence's length, and the offsets of its first rows. */
export interface AttentionHead {
  readonly queries: number;
  readonly start: number;
  /** Offset of the head in q. `key` is the head's offset in k and v. */
  readonly query: number;
  readonly key: number;
  /** Index of the sequence's first page. Used only with pages. */
  readonly place: number;
  /** Offset of the head in out. The rows of out are H·D elements apart. */
  readonly out: number;
  /** Offset of the head in logSumExp. */
  readonly stat: number;
  /**
   * Index of this head among the heads of all sequences. The head's rows of the dropout mask begin at index · queries.
   */
  readonly index: number;
  /** Whether this head is the first to read these keys and values; `last`: whether it is the last. */
  readonly first: boolean;
  readonly last: boolean;
}

/** Yields every head of every sequence. */
export const attentionHeads = function* (s: AttentionShape): Generator<AttentionHead> {
  if (s.heads === 0) return;
  const group = s.heads / s.keyHeads;
  const width = s.heads * s.headDim;
  for (let b = 0; b < s.batch; b++) {
    const segment = s.segments?.subarray(4 * b, 4 * b + 4);
    const [queryRow = 0, queries = s.queries, keyRow = 0, start = s.start] = segment ?? [];
    const whole = segment === undefined;
    const paged = s.pages != null;
    const keys = paged ? 0 : keyRow * s.keyStride;
    for (let h = 0; h < s.heads; h++) {
      yield {
        queries,
        start,
        query: (whole ? b * s.queryBatchStride : queryRow * s.queryStride) + h * s.headDim,
        key: (whole ? b * s.keyBatchStride : keys) + Math.floor(h / group) * s.headDim,
        place: paged ? keyRow : 0,
        out: (whole ? b * s.queries : queryRow) * width + h * s.headDim,
        stat: whole ? (b * s.heads + h) * s.queries : h * s.rows + queryRow,
        index: b * s.heads + h,
        first: h % group === 0,
        last: h % group === group - 1,
      };
    }
  }
};

/**
 * Attention for one query of one head at a time. A causal query never reads later keys. Only operands that are given to
 * the kernel are rounded, such as q, k and v. P and dS are operands too, but they are not rounded here. Kernels round
 * multiples of P and dS, and these multiples depend on the order of keys.
 */
export const attention: HostKernels<"attentionForward" | "attentionBackward"> = {
  attentionForward(args) {
    const { out, logSumExp, kept, queries: longest, heads, headDim, scale, operand } = args;
    const q = operand(args.q);
    const k = operand(args.k);
    const v = operand(args.v);
    const { queryStride, keyStride, pages } = args;
    const sums = new Float64Array(headDim);
    for (const head of attentionHeads(args)) {
      const { queries, start, query: firstQuery, key: firstKey, place, out: to, stat, index } = head;
      const words = wordsOf(start + queries);
      const weights = new Float64Array(start + queries);
      const factors = new Float64Array(32 * words);
      for (let t = 0; t < queries; t++) {
        const query = firstQuery + t * queryStride;
        const visible = args.causal ? start + t + 1 : start + queries;
        const oldest = firstSeen(start + t, args.window);

        let max = -Infinity;
        for (let j = oldest; j < visible; j++) {
          const score = scale * dot(q, query, k, firstKey + keyRowOf(pages, place, j) * keyStride, headDim);
          weights[j] = score;
          max = Math.max(max, score);
        }
        let total = 0;
        for (let j = oldest; j < visible; j++) {
          const weight = Math.exp((weights[j] as number) - max);
          weights[j] = weight;
          total += weight;
        }
        logSumExp[stat + t] = max + Math.log(total);

        const undrawn = Math.floor(oldest / 64) * 64;
        const drawn = factors.subarray(undrawn, Math.ceil(visible / 64) * 64);
        dropoutFactors(args, index * longest + t, undrawn, drawn.length, drawn);
        const word = index * words + undrawn / 32;
        if (kept !== null && args.p > 0) packMask(drawn, drawn.length, kept, word * queries + t, queries);
        sums.fill(0);
        for (let j = oldest; j < visible; j++) {
          const weight = ((weights[j] as number) / total) * (factors[j] as number);
          const value = firstKey + keyRowOf(pages, place, j) * keyStride;
          for (let c = 0; c < headDim; c++) sums[c] = (sums[c] as number) + weight * (v[value + c] as number);
        }
        out.set(sums, to + t * heads * headDim);
      }
    }
  },

  // With P = exp(scale · q·kᵀ − logSumExp), F the dropout factors and O = (F∘P)·V:
  // dV = (F∘P)ᵀ·dO; dS = P ∘ (F ∘ (dO·Vᵀ) − D), D = rowsum(dO ∘ O); dQ = scale · dS·K; dK = scale · dSᵀ·Q
  // (Dao et al. 2022, FlashAttention, appendix B).
  attentionBackward(args) {
    const { out, logSumExp, kept, dq, dk, dv, queries: longest, heads, headDim, scale, operand } = args;
    const dOut = operand(args.dOut);
    const q = operand(args.q);
    const k = operand(args.k);
    const v = operand(args.v);
    const { queryStride, keyStride } = args;
    const factors = new Float64Array(longest);
    const querySums = new Float64Array(headDim);
    const keySums = new Float64Array(longest * headDim);
    const valueSums = new Float64Array(longest * headDim);
    for (const head of attentionHeads(args)) {
      const { queries, query: firstQuery, key: firstKey, out: firstOut, stat, index, first, last } = head;
      if (first) {
        keySums.fill(0);
        valueSums.fill(0);
      }
      for (let t = 0; t < queries; t++) {
        const query = firstQuery + t * queryStride;
        const outRow = firstOut + t * heads * headDim;
        const visible = args.causal ? t + 1 : queries;
        const oldest = firstSeen(t, args.window);
        const delta = dot(dOut, outRow, out, outRow, headDim);
        if (kept === null || args.p === 0) dropoutFactors(args, index * longest + t, 0, visible, factors);
        else unpackMask(kept, index * wordsOf(queries) * queries + t, queries, args.p, visible, factors);
        querySums.fill(0);
        for (let j = oldest; j < visible; j++) {
          const key = firstKey + j * keyStride;
          const sumsRow = j * headDim;
          const factor = factors[j] as number;
          const weight = Math.exp(scale * dot(q, query, k, key, headDim) - (logSumExp[stat + t] as number));
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
      for (let j = 0; last && j < queries; j++) {
        const sumsRow = j * headDim;
        dk.set(keySums.subarray(sumsRow, sumsRow + headDim), firstKey + j * keyStride);
        dv.set(valueSums.subarray(sumsRow, sumsRow + headDim), firstKey + j * keyStride);
      }
    }
  },
};
