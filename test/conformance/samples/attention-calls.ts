/** Calls of attention, for the samples of attention.ts. */
import { firstSeen, attention as referenceAttention } from "#foretoken/backend/implementations/reference/attention.js";
import { asGiven } from "#foretoken/backend/implementations/reference/host-args.js";
import { pageRows } from "#foretoken/backend/kernels/sizes.js";
import type { Sample } from "../sample.ts";
import { blank, nans, noise, rounded, spoiled } from "../sample.ts";

const { normals, integers } = noise(4);

export interface Case {
  readonly batch?: number;
  readonly queries: number;
  readonly start?: number;
  readonly heads?: number;
  /** Default: `heads`. */
  readonly keyHeads?: number;
  readonly headDim: number;
  readonly p?: number;
  readonly causal?: 0 | 1;
  /** Default: none. */
  readonly window?: number;
  /** Default: 1/√D. */
  readonly scale?: number;
  /** Standard deviation of q and k. */
  readonly spread?: number;
  readonly name?: string;
}

const key = { key0: 42, key1: 7, key2: 3, key3: -9, site: 2 };
const undropped = { key0: 0, key1: 0, key2: 0, key3: 0, site: 0 };

const nameOf = ({
  batch = 1,
  queries,
  start = 0,
  heads = 1,
  keyHeads,
  headDim,
  p = 0,
  causal = 1,
  window,
  name,
}: Case): string =>
  [
    `B=${batch} queries=${queries} start=${start} H=${heads} D=${headDim} p=${p}`,
    ...(keyHeads === undefined ? [] : [`Hk=${keyHeads}`]),
    ...(causal === 1 ? [] : ["no mask"]),
    ...(window === undefined ? [] : [`window=${window}`]),
    ...(name === undefined ? [] : [name]),
  ].join(", ");

const settings = ({
  batch = 1,
  queries,
  start = 0,
  heads = 1,
  keyHeads = heads,
  headDim,
  p = 0,
  causal = 1,
  window = 0,
  scale,
}: Case) => ({
  batch,
  queries,
  start,
  heads,
  keyHeads,
  headDim,
  rows: 0,
  keyRows: 0,
  pageCount: 0,
  scale: scale ?? 1 / Math.sqrt(headDim),
  p,
  causal,
  window,
  ...(p === 0 ? undropped : key),
});

/** q, k and v as parts of one [B, T, 3C] array, as in training. */
export const packed = (given: Case): Sample<"attentionForward"> => {
  const { batch = 1, queries, heads = 1, keyHeads = heads, headDim, spread = 1 } = given;
  const [width, keyWidth] = [heads * headDim, keyHeads * headDim];
  const stride = width + 2 * keyWidth;
  const strides = {
    queryStride: stride,
    keyStride: stride,
    queryBatchStride: queries * stride,
    keyBatchStride: queries * stride,
  };
  const q = normals(batch * queries * stride, spread);
  return {
    name: `packed, ${nameOf(given)}`,
    numbers: { ...settings(given), ...strides },
    buffers: {
      ...{ q, k: { of: "q", at: width }, v: { of: "q", at: width + keyWidth } },
      ...{ out: blank, logSumExp: blank, kept: null, segments: null, pages: null },
    },
  };
};

/** Space for the dropout mask of a call. It contains arbitrary words. */
const maskOf = ({ batch, heads, queries }: Sample<"attentionForward">["numbers"]): Int32Array =>
  integers(batch * heads * Math.ceil(queries / 32) * queries, 2 ** 31);

/** The call with a stored mask. The mask words of blocks that no query sees must not change. */
export const keeping = (given: Case): Sample<"attentionForward"> => {
  const { name, numbers, buffers } = packed(given);
  return { name: `keeping its mask, ${name}`, numbers, buffers: { ...buffers, kept: maskOf(numbers) } };
};

/**
 * Puts NaN at `place` of q, k and v of position 20. q, k and v are each 16 wide. NaN in q affects only this position.
 * NaN in k or v affects all later positions that see position 20.
 */
export const packedWithNan = (place: number, window = 0): Sample<"attentionForward"> => {
  const { name, numbers, buffers } = packed({ queries: 40, headDim: 16, p: 0.5, window });
  const q = spoiled(buffers.q as Float64Array, 20 * 48 + place);
  return { name: `NaN at ${place}, ${name}`, numbers, buffers: { ...buffers, q } };
};

/**
 * k and v in a cache with free space, as in generation. The free space contains NaN. So a kernel that reads it fails.
 */
export const cached = (given: Case): Sample<"attentionForward"> => {
  const { batch = 1, queries, start = 0, heads = 1, keyHeads = heads, headDim, spread = 1 } = given;
  const [width, keyWidth] = [heads * headDim, keyHeads * headDim];
  const capacity = start + queries + 3;
  const fill = (): Float64Array => {
    const all = nans(batch * capacity * keyWidth);
    for (let b = 0; b < batch; b++) all.set(normals((start + queries) * keyWidth, spread), b * capacity * keyWidth);
    return all;
  };
  const queryStride = width + 5;
  const q = nans(batch * queries * queryStride);
  for (let r = 0; r < batch * queries; r++) q.set(normals(width, spread), r * queryStride);
  const strides = {
    queryStride,
    keyStride: keyWidth,
    queryBatchStride: queries * queryStride,
    keyBatchStride: capacity * keyWidth,
  };
  return {
    name: `cached, ${nameOf(given)}`,
    numbers: { ...settings(given), ...strides },
    buffers: { q, k: fill(), v: fill(), out: blank, logSumExp: blank, kept: null, segments: null, pages: null },
  };
};

/**
 * The backward call for a packed forward call. The gradients are written to one [B, T, 3C] array, too. The call draws
 * its dropout mask again, or uses the stored mask of the forward call.
 */
export const backward = (given: Case, keeps = false): Sample<"attentionBackward"> => {
  const { name, numbers, buffers } = packed(given);
  const { batch, queries, heads, keyHeads, headDim } = numbers;
  const width = heads * headDim;
  const values = width + keyHeads * headDim;
  const q = buffers.q as Float64Array;
  const out = new Float64Array(batch * queries * width);
  const logSumExp = new Float64Array(batch * heads * queries);
  const kept = keeps ? maskOf(numbers) : null;
  referenceAttention.attentionForward({
    ...numbers,
    operand: asGiven,
    q,
    k: q.subarray(width),
    v: q.subarray(values),
    out,
    logSumExp,
    kept,
    segments: null,
    pages: null,
  });
  return {
    name: keeps ? `with the mask that was kept, ${name}` : name,
    numbers,
    buffers: {
      ...{ q, k: { of: "q", at: width }, v: { of: "q", at: values } },
      ...{ dOut: normals(out.length), out: rounded(out), logSumExp: rounded(logSumExp), kept, segments: null },
      ...{ dq: nans(q.length), dk: { of: "dq", at: width }, dv: { of: "dq", at: values } },
    },
  };
};

/** The backward call with separate arrays. The arrays have gaps between their rows, and the gaps must not change. */
export const backwardWithGaps = (given: Case): Sample<"attentionBackward"> => {
  const { numbers, buffers } = cached({ ...given, start: 0 });
  const { batch, queries, heads, headDim, queryBatchStride, keyBatchStride } = numbers;
  const { q, k, v } = buffers as Readonly<Record<"q" | "k" | "v", Float64Array>>;
  const out = new Float64Array(batch * queries * heads * headDim);
  const logSumExp = new Float64Array(batch * heads * queries);
  referenceAttention.attentionForward({
    operand: asGiven,
    ...numbers,
    q,
    k,
    v,
    out,
    logSumExp,
    kept: null,
    segments: null,
    pages: null,
  });
  const grads = {
    dq: nans(batch * queryBatchStride),
    dk: nans(batch * keyBatchStride),
    dv: nans(batch * keyBatchStride),
  };
  return {
    name: `with gaps, ${nameOf(given)}`,
    numbers,
    buffers: {
      ...{ q, k, v, dOut: normals(out.length), out: rounded(out), logSumExp: rounded(logSumExp) },
      ...{ kept: null, segments: null },
      ...grads,
    },
  };
};

/** The sequences as pairs of [queries, start], one after the other. */
export type Lengths = readonly (readonly [queries: number, start: number])[];

/**
 * Sequences of different lengths, as in continuous batching. The queries of one sequence follow the queries of the
 * previous sequence. The keys and values are at separate places of a cache, in another order, with NaN between them.
 */
export const segmented = (lengths: Lengths, given: Omit<Case, "queries" | "start">): Sample<"attentionForward"> => {
  const { heads = 1, keyHeads = heads, headDim, spread = 1 } = given;
  const [width, keyWidth] = [heads * headDim, keyHeads * headDim];
  const rows = lengths.reduce((sum, [queries]) => sum + queries, 0);
  const keyRows = lengths.reduce((sum, [queries, start]) => sum + start + queries + 2, 0);
  const q = normals(rows * width, spread);
  const k = nans(keyRows * keyWidth);
  const v = nans(keyRows * keyWidth);
  const segments = new Int32Array(4 * lengths.length);
  let [row, keyRow] = [0, keyRows];
  for (const [i, [queries, start]] of lengths.entries()) {
    keyRow -= start + queries + 1;
    segments.set([row, queries, keyRow, start], 4 * i);
    for (const values of [k, v]) values.set(normals((start + queries) * keyWidth, spread), keyRow * keyWidth);
    row += queries;
  }
  const queries = Math.max(...lengths.map(([count]) => count));
  const strides = { queryStride: width, keyStride: keyWidth, queryBatchStride: 0, keyBatchStride: 0 };
  return {
    name: `segments ${lengths.map(([count, start]) => `${count}@${start}`).join(" ")}, ${nameOf({ ...given, queries })}`,
    numbers: { ...settings({ ...given, queries, batch: lengths.length }), ...strides, rows, keyRows },
    buffers: { q, k, v, out: blank, logSumExp: blank, kept: null, segments, pages: null },
  };
};

/**
 * The sequences of `segmented` with keys and values in pages. The order of the pages is random, and some pages between
 * them are unused. Rows that no query sees contain NaN. Page 0 is unused, and it replaces all pages before the windows.
 */
export const paged = (lengths: Lengths, given: Omit<Case, "queries" | "start">): Sample<"attentionForward"> => {
  const { name, numbers, buffers } = segmented(lengths, given);
  const { heads = 1, keyHeads = heads, headDim, spread = 1 } = given;
  const width = keyHeads * headDim;
  const pagesOf = lengths.map(([queries, start]) => Math.ceil((queries + start) / pageRows));
  const count = pagesOf.reduce((sum, pages) => sum + pages, 0);
  // A stride that shares no factor with the number of pages visits every page once.
  const order = Int32Array.from({ length: count }, (_, i) => ((i * 7 + 3) % (count % 7 === 0 ? count + 1 : count)) + 1);
  const keyRows = (count + 2) * pageRows;
  const [k, v] = [nans(keyRows * width), nans(keyRows * width)];
  const segments = (buffers.segments as Int32Array).slice();
  let place = 0;
  for (const [i, [queries, start]] of lengths.entries()) {
    segments[4 * i + 2] = place;
    const oldest = firstSeen(start, given.window ?? 0);
    order.fill(0, place, place + Math.floor(oldest / pageRows));
    for (let j = oldest; j < queries + start; j++) {
      const row = (order[place + Math.floor(j / pageRows)] as number) * pageRows + (j % pageRows);
      for (const values of [k, v]) values.set(normals(width, spread), row * width);
    }
    place += pagesOf[i] as number;
  }
  return {
    name: `pages, ${name}`,
    numbers: { ...numbers, keyRows, pageCount: count },
    buffers: { ...buffers, k, v, segments, pages: order },
  };
};

/** Packed documents, with separate arrays for the gradients. */
export const segmentedBackward = (
  lengths: readonly number[],
  given: Omit<Case, "queries" | "start">,
): Sample<"attentionBackward"> => {
  const { name, numbers, buffers } = segmented(
    lengths.map((queries) => [queries, 0] as const),
    given,
  );
  const { q, k, v, segments } = buffers as Readonly<Record<"q" | "k" | "v", Float64Array>> & { segments: Int32Array };
  const out = new Float64Array(q.length);
  const logSumExp = new Float64Array(numbers.rows * numbers.heads);
  const shared = { kept: null, segments };
  const all = { ...shared, pages: null };
  referenceAttention.attentionForward({ operand: asGiven, ...numbers, q, k, v, out, logSumExp, ...all });
  return {
    name,
    numbers,
    buffers: {
      ...{ q, k, v, dOut: normals(out.length), out: rounded(out), logSumExp: rounded(logSumExp), ...shared },
      ...{ dq: nans(q.length), dk: nans(k.length), dv: nans(v.length) },
    },
  };
};
