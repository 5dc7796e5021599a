/** Sizes that several kernels of kernels.ts take, and the lengths of buffers that follow from them. */
import type { Numbers } from "./signature.ts";

export const dropoutKey = ["key0", "key1", "key2", "key3", "site"] as const;

export const attentionSizes = [
  "batch",
  "queries",
  "start",
  "heads",
  "headDim",
  "queryStride",
  "queryBatchStride",
  "keyStride",
  "keyBatchStride",
] as const;

/** Length of a strided [batch, rows, width] buffer up to its last element. */
export const strided = (batch: number, batchStride: number, rows: number, stride: number, width: number): number =>
  batch === 0 || rows === 0 ? 0 : (batch - 1) * batchStride + (rows - 1) * stride + width;

/** Words that hold a bit for each of `count` elements. */
export const wordsOf = (count: number): number => Math.ceil(count / 32);

export const attentionLengths = (s: Numbers<(typeof attentionSizes)[number]>) => {
  const width = s.heads * s.headDim;
  const queries = strided(s.batch, s.queryBatchStride, s.queries, s.queryStride, width);
  const keys = strided(s.batch, s.keyBatchStride, s.start + s.queries, s.keyStride, width);
  const stats = s.batch * s.heads * s.queries;
  return { queries, keys, out: s.batch * s.queries * width, stats, kept: stats * wordsOf(s.start + s.queries) };
};

/** Columns [first, first + columns) of vocabSize. */
export const lossSizes = ["rows", "columns", "first", "vocabSize"] as const;

export const rotarySizes = ["rows", "time", "heads", "headDim", "start"] as const;

export const rotaryLengths = ({ rows, time, heads, headDim, start }: Numbers<(typeof rotarySizes)[number]>) => ({
  packed: rows * 3 * heads * headDim,
  gamma: headDim,
  table: ((start + time) * headDim) / 2,
  stats: rows * 2 * heads,
});
