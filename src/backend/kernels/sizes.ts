/** Sizes that several kernels of kernels.ts take, and the lengths and costs that follow from them. */
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

type AttentionSizes = Numbers<(typeof attentionSizes)[number]>;

/** Length of a strided [batch, rows, width] buffer up to its last element. */
export const strided = (batch: number, batchStride: number, rows: number, stride: number, width: number): number =>
  batch === 0 || rows === 0 ? 0 : (batch - 1) * batchStride + (rows - 1) * stride + width;

/** Words that hold a bit for each of `count` elements. */
export const wordsOf = (count: number): number => Math.ceil(count / 32);

export const attentionLengths = (s: AttentionSizes) => {
  const width = s.heads * s.headDim;
  const queries = strided(s.batch, s.queryBatchStride, s.queries, s.queryStride, width);
  const keys = strided(s.batch, s.keyBatchStride, s.start + s.queries, s.keyStride, width);
  const stats = s.batch * s.heads * s.queries;
  return { queries, keys, out: s.batch * s.queries * width, stats, kept: stats * wordsOf(s.start + s.queries) };
};

/** Pairs of a query and a key that it sees, times D: what one of attention's products multiplies. */
export const attended = (s: AttentionSizes & Numbers<"causal">): number => {
  const seen = s.causal === 1 ? s.start + (s.queries + 1) / 2 : s.start + s.queries;
  return s.batch * s.heads * s.queries * seen * s.headDim;
};

/** Elements of a strided buffer of queries, or of keys, that are not between its rows. */
export const queriesOf = (s: AttentionSizes): number => s.batch * s.queries * s.heads * s.headDim;
export const keysOf = (s: AttentionSizes): number => s.batch * (s.start + s.queries) * s.heads * s.headDim;

/** A product of two factors: a multiplication and an addition are two. */
export const product = ({ m, n, k }: Numbers<"m" | "n" | "k">): number => 2 * m * n * k;

/** Of an embedding. A row that several positions share is fetched once, at best. */
export const gathered = (s: Numbers<"rows" | "vocabSize" | "time" | "channels">) => ({
  tokens: Math.min(s.rows, s.vocabSize) * s.channels,
  positions: Math.min(s.rows, s.time) * s.channels,
});

export const rotaryLengths = ({
  rows,
  time,
  heads,
  headDim,
  start,
}: Numbers<"rows" | "time" | "heads" | "headDim" | "start">) => ({
  packed: rows * 3 * heads * headDim,
  gamma: headDim,
  table: ((start + time) * headDim) / 2,
  stats: rows * 2 * heads,
});

/** Angles that a call reads. */
export const rotaryTables = ({ time, headDim }: Numbers<"time" | "headDim">) => ({
  cos: (time * headDim) / 2,
  sin: (time * headDim) / 2,
});
