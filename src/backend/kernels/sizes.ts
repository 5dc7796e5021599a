/** Sizes that several kernels of kernels.ts use, and the lengths and costs that follow from these sizes. */
import type { Numbers } from "./signature.ts";

export const dropoutKey = ["key0", "key1", "key2", "key3", "site"] as const;

export const attentionSizes = [
  "batch",
  "queries",
  "start",
  "heads",
  "keyHeads",
  "headDim",
  "queryStride",
  "queryBatchStride",
  "keyStride",
  "keyBatchStride",
  "rows",
  "keyRows",
] as const;

type AttentionSizes = Numbers<(typeof attentionSizes)[number]>;

/** Number of elements from the start of a strided [batch, rows, width] buffer up to its last element. */
export const strided = (batch: number, batchStride: number, rows: number, stride: number, width: number): number =>
  batch === 0 || rows === 0 ? 0 : (batch - 1) * batchStride + (rows - 1) * stride + width;

/** Number of words that hold one bit for each of `count` elements. */
export const wordsOf = (count: number): number => Math.ceil(count / 32);

/** With segments (`rows` > 0), one array contains the rows of all sequences. */
export const attentionLengths = (s: AttentionSizes) => {
  const width = s.heads * s.headDim;
  const keyWidth = s.keyHeads * s.headDim;
  const together = s.rows > 0;
  const rows = together ? s.rows : s.batch * s.queries;
  const stats = s.heads * rows;
  return {
    queries: together
      ? strided(1, 0, s.rows, s.queryStride, width)
      : strided(s.batch, s.queryBatchStride, s.queries, s.queryStride, width),
    keys: together
      ? strided(1, 0, s.keyRows, s.keyStride, keyWidth)
      : strided(s.batch, s.keyBatchStride, s.start + s.queries, s.keyStride, keyWidth),
    out: rows * width,
    stats,
    kept: stats * wordsOf(s.start + s.queries),
    segments: segmentInts * s.batch,
  };
};

/**
 * Number of integers per sequence in attention's `segments`: first row of queries, number of queries, first row of
 * keys, start.
 */
export const segmentInts = 4;

/** Number of rows in a page of keys and values. */
export const pageRows = 32;

const queryRows = (s: AttentionSizes): number => (s.rows > 0 ? s.rows : s.batch * s.queries);

/** Sum over all queries of a sequence: the number of keys that each query sees. */
const pairsSeen = ({ start, queries, causal, window }: AttentionSizes & Numbers<"causal" | "window">): number => {
  const end = start + queries;
  if (causal === 0) return queries * end;
  // From this position on, a query's window contains its maximum number of keys.
  const whole = window === 0 ? end : Math.min(Math.max(window, start), end);
  return ((whole - start) * (start + whole + 1)) / 2 + (end - whole) * window;
};

/**
 * Number of multiplications in one of attention's products: the number of (query, key) pairs times D. With segments,
 * the number is an estimate. Each sequence counts as if it were the longest sequence and had no earlier tokens.
 */
export const attended = (s: AttentionSizes & Numbers<"causal" | "window">): number =>
  s.queries === 0 ? 0 : (queryRows(s) * pairsSeen(s) * s.heads * s.headDim) / s.queries;

/** Number of elements in the rows of queries, or in the rows of keys. The gaps of a strided buffer do not count. */
export const queriesOf = (s: AttentionSizes): number => queryRows(s) * s.heads * s.headDim;
export const keysOf = (s: AttentionSizes & Numbers<"window">): number => {
  const keys = s.start + s.queries;
  const seen = s.window === 0 ? keys : Math.min(keys, s.queries + s.window - 1);
  return (s.rows > 0 ? s.keyRows : s.batch * seen) * s.keyHeads * s.headDim;
};

/** Operations of a product of two factors. A multiplication and an addition count as two operations. */
export const product = ({ m, n, k }: Numbers<"m" | "n" | "k">): number => 2 * m * n * k;

/** Number of elements that an embedding reads. A row that several positions share counts once. */
export const gathered = (s: Numbers<"rows" | "vocabSize" | "time" | "channels">) => ({
  tokens: Math.min(s.rows, s.vocabSize) * s.channels,
  positions: Math.min(s.rows, s.time) * s.channels,
});

export const rotarySizes = [
  ...(["rows", "time", "heads", "keyHeads", "headDim", "rotaryDim", "start", "tableRows", "together"] as const),
] as const;

type RotarySizes = Numbers<(typeof rotarySizes)[number]>;

/** Number of elements in a row of q | k | v. */
export const packedWidth = ({ heads, keyHeads, headDim }: Numbers<"heads" | "keyHeads" | "headDim">): number =>
  (heads + 2 * keyHeads) * headDim;

export const rotaryLengths = (s: RotarySizes) => ({
  packed: s.rows * packedWidth(s),
  gammaQ: (s.together === 1 ? s.heads : 1) * s.headDim,
  gammaK: (s.together === 1 ? s.keyHeads : 1) * s.headDim,
  table: (s.tableRows * s.rotaryDim) / 2,
  stats: s.rows * (s.heads + s.keyHeads),
  places: s.rows,
});

/** Number of angles that a call reads. */
export const rotaryTables = ({ time, rotaryDim }: Numbers<"time" | "rotaryDim">) => ({
  cos: (time * rotaryDim) / 2,
  sin: (time * rotaryDim) / 2,
});
