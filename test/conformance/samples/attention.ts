import { attention as referenceAttention } from "#foretoken/backend/implementations/reference/attention.js";
import { asGiven } from "#foretoken/backend/implementations/reference/host-args.js";
import { pageRows } from "#foretoken/backend/kernels/sizes.js";
import type { Sample, Samples } from "../sample.ts";
import { blank, nans, noise, rounded, spoiled } from "../sample.ts";

const { normals, integers } = noise(4);

interface Case {
  readonly batch?: number;
  readonly queries: number;
  readonly start?: number;
  readonly heads?: number;
  /** As many as heads unless given. */
  readonly keyHeads?: number;
  readonly headDim: number;
  readonly p?: number;
  readonly causal?: 0 | 1;
  /** None unless given. */
  readonly window?: number;
  /** 1/√D unless given. */
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
const packed = (given: Case): Sample<"attentionForward"> => {
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

/** Room for the mask of a call, with words that say nothing in it. */
const maskOf = ({ batch, heads, queries }: Sample<"attentionForward">["numbers"]): Int32Array =>
  integers(batch * heads * Math.ceil(queries / 32) * queries, 2 ** 31);

/** The same call, which keeps its mask; words of blocks that no query sees must stay as they are. */
const keeping = (given: Case): Sample<"attentionForward"> => {
  const { name, numbers, buffers } = packed(given);
  return { name: `keeping its mask, ${name}`, numbers, buffers: { ...buffers, kept: maskOf(numbers) } };
};

/**
 * NaN at `place` of position 20's q, k and v, each 16 wide: in q it shows at that position, else at all from there on.
 */
const packedWithNan = (place: number): Sample<"attentionForward"> => {
  const { name, numbers, buffers } = packed({ queries: 40, headDim: 16, p: 0.5 });
  const q = spoiled(buffers.q as Float64Array, 20 * 48 + place);
  return { name: `NaN at ${place}, ${name}`, numbers, buffers: { ...buffers, q } };
};

/** k and v in a cache with room left, as in generation (with NaN there: a kernel that reads it fails). */
const cached = (given: Case): Sample<"attentionForward"> => {
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
 * The backward call that belongs to a packed forward one; its gradients go to one [B, T, 3C] array too. It draws its mask
 * again, or takes the one that the forward call has kept.
 */
const backward = (given: Case, keeps = false): Sample<"attentionBackward"> => {
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

/** The same with every array apart and gaps between the rows of each, which must stay as they are. */
const backwardWithGaps = (given: Case): Sample<"attentionBackward"> => {
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

/** One after the other: [queries, start]. */
type Lengths = readonly (readonly [queries: number, start: number])[];

/**
 * Sequences of different lengths: queries one after the other, as in continuous batching; each has its keys and values
 * in a place of its own of a cache, in another order, and NaN is between them.
 */
const segmented = (lengths: Lengths, given: Omit<Case, "queries" | "start">): Sample<"attentionForward"> => {
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
 * The same with keys and values in pages, in an order that is drawn, some between them that are nobody's; NaN is in rows that no
 * query sees.
 */
const paged = (lengths: Lengths, given: Omit<Case, "queries" | "start">): Sample<"attentionForward"> => {
  const { name, numbers, buffers } = segmented(lengths, given);
  const { heads = 1, keyHeads = heads, headDim, spread = 1 } = given;
  const width = keyHeads * headDim;
  const pagesOf = lengths.map(([queries, start]) => Math.ceil((queries + start) / pageRows));
  const count = pagesOf.reduce((sum, pages) => sum + pages, 0);
  // A stride without a common factor visits every page once.
  const order = Int32Array.from({ length: count }, (_, i) => ((i * 7 + 3) % (count % 7 === 0 ? count + 1 : count)) + 1);
  const keyRows = (count + 2) * pageRows;
  const [k, v] = [nans(keyRows * width), nans(keyRows * width)];
  const segments = (buffers.segments as Int32Array).slice();
  let place = 0;
  for (const [i, [queries, start]] of lengths.entries()) {
    segments[4 * i + 2] = place;
    for (let j = 0; j < queries + start; j++) {
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

/** Packed documents, whose gradients go to arrays of their own. */
const segmentedBackward = (
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

const cases: readonly Case[] = [
  { batch: 0, queries: 4, headDim: 8 },
  { queries: 1, headDim: 1 },
  { queries: 2, headDim: 3, heads: 2 },
  { queries: 15, headDim: 16, heads: 3, batch: 2 },
  { queries: 16, headDim: 17 },
  { queries: 17, headDim: 15, heads: 2 },
  { queries: 31, headDim: 32 },
  { queries: 32, headDim: 31, batch: 3 },
  { queries: 33, headDim: 33, heads: 2 },
  { queries: 63, headDim: 64 },
  { queries: 64, headDim: 32, heads: 4, batch: 2 },
  { queries: 65, headDim: 63 },
  { queries: 127, headDim: 65 },
  { queries: 128, headDim: 32, heads: 2 },
  { queries: 129, headDim: 128 },
  { queries: 300, headDim: 16 },
  { queries: 33, headDim: 16, heads: 2, batch: 2, p: 0.1 },
  { queries: 65, headDim: 32, heads: 3, batch: 2, p: 0.5 },
  { queries: 129, headDim: 8, p: 0.9 },
  { queries: 33, headDim: 16, spread: 1e-10, name: "tiny" },
  { queries: 33, headDim: 16, spread: 5, name: "sharp" },
  { queries: 33, headDim: 16, spread: 100, name: "one-hot" },
  { queries: 40, headDim: 16, spread: 3, scale: -0.5, name: "negative scale" },
  { batch: 0, queries: 4, headDim: 8, causal: 0 },
  { queries: 1, headDim: 1, causal: 0 },
  { queries: 2, headDim: 3, heads: 2, causal: 0 },
  { queries: 17, headDim: 15, heads: 2, batch: 2, causal: 0 },
  { queries: 33, headDim: 33, causal: 0 },
  { queries: 128, headDim: 32, heads: 2, causal: 0 },
  { queries: 129, headDim: 65, causal: 0 },
  { queries: 300, headDim: 16, heads: 2, causal: 0 },
  { queries: 257, headDim: 8, p: 0.5, causal: 0 },
  { queries: 65, headDim: 32, heads: 3, batch: 2, p: 0.1, causal: 0 },
  { queries: 33, headDim: 16, spread: 100, causal: 0, name: "one-hot" },
  { queries: 3, headDim: 8, heads: 2, keyHeads: 1 },
  { queries: 17, headDim: 16, heads: 6, keyHeads: 3, batch: 2 },
  { queries: 33, headDim: 33, heads: 4, keyHeads: 1, batch: 2, p: 0.3 },
  { queries: 129, headDim: 32, heads: 4, keyHeads: 2, batch: 2 },
  { queries: 300, headDim: 16, heads: 3, keyHeads: 1 },
  { queries: 257, headDim: 17, heads: 4, keyHeads: 2, p: 0.5 },
  { queries: 65, headDim: 32, heads: 4, keyHeads: 2, causal: 0 },
  { queries: 140, headDim: 8, heads: 2, keyHeads: 1, p: 0.5, causal: 0 },
];

const keptCases: readonly Case[] = [
  { queries: 3, headDim: 16, heads: 2, batch: 2, p: 0.3 },
  { queries: 33, headDim: 16, heads: 2, batch: 2, p: 0.1 },
  { queries: 64, headDim: 32, p: 0.2 },
  { queries: 65, headDim: 32, heads: 3, batch: 2, p: 0.5 },
  { queries: 197, headDim: 8, p: 0.9 },
  { queries: 4, headDim: 8, heads: 2, p: 0.5, causal: 0 },
  { queries: 161, headDim: 8, heads: 2, p: 0.5, causal: 0 },
  { queries: 20, headDim: 8, name: "nothing dropped" },
  { queries: 70, headDim: 16, heads: 4, keyHeads: 2, batch: 2, p: 0.3 },
  { queries: 4, headDim: 16, heads: 4, keyHeads: 2, batch: 2, p: 0.3 },
];

const cachedCases: readonly Case[] = [
  { queries: 1, start: 0, headDim: 16 },
  { queries: 1, start: 1, headDim: 17, heads: 2 },
  { queries: 1, start: 16, headDim: 32, heads: 4, batch: 2 },
  { queries: 1, start: 63, headDim: 64 },
  { queries: 1, start: 127, headDim: 33, batch: 3 },
  { queries: 1, start: 40, headDim: 16, spread: 3, scale: -0.5, name: "negative scale" },
  { queries: 2, start: 127, headDim: 32, heads: 2 },
  { queries: 4, start: 126, headDim: 80, p: 0.3 },
  { queries: 4, start: 254, headDim: 17, heads: 2, causal: 0 },
  { queries: 1, start: 300, headDim: 32, heads: 2 },
  { queries: 5, start: 31, headDim: 15, heads: 2 },
  { queries: 17, start: 47, headDim: 32, heads: 2, batch: 2 },
  { queries: 65, start: 64, headDim: 16 },
  { queries: 33, start: 0, headDim: 16, batch: 2 },
  { queries: 7, start: 60, headDim: 16, heads: 2, batch: 2, p: 0.3 },
  { queries: 5, start: 31, headDim: 15, heads: 2, causal: 0 },
  { queries: 70, start: 190, headDim: 16, heads: 2, batch: 2, causal: 0 },
  { queries: 1, start: 130, headDim: 64, heads: 8, keyHeads: 2, batch: 2 },
  { queries: 4, start: 60, headDim: 17, heads: 4, keyHeads: 1, p: 0.3 },
  { queries: 40, start: 100, headDim: 32, heads: 4, keyHeads: 2 },
];

const segmentCases: readonly (readonly [Lengths, Omit<Case, "queries" | "start">])[] = [
  [[[1, 0]], { headDim: 8 }],
  [
    [
      [5, 0],
      [1, 17],
      [64, 0],
    ],
    { headDim: 16, heads: 2 },
  ],
  [
    [
      [1, 200],
      [1, 3],
      [4, 126],
      [1, 0],
    ],
    { headDim: 32, heads: 4, keyHeads: 2 },
  ],
  [
    [
      [130, 0],
      [3, 127],
      [33, 250],
    ],
    { headDim: 17, heads: 2, keyHeads: 1, p: 0.3 },
  ],
  [
    [
      [40, 9],
      [2, 0],
      [70, 0],
    ],
    { headDim: 16, heads: 3, causal: 0 },
  ],
];

const pagedCases: typeof segmentCases = [
  ...segmentCases,
  [
    [
      [1, 31],
      [1, 32],
      [2, 31],
      [1, 127],
      [1, 128],
      [4, 300],
    ],
    { headDim: 64, heads: 9, keyHeads: 3 },
  ],
  [
    [
      [5, 31],
      [64, 64],
      [1, 0],
      [100, 29],
    ],
    { headDim: 20, heads: 2, keyHeads: 1 },
  ],
];

const documentCases: readonly (readonly [readonly number[], Omit<Case, "queries" | "start">])[] = [
  [[1, 2, 7], { headDim: 8, heads: 2 }],
  [[33, 1, 129, 64], { headDim: 16, heads: 2, keyHeads: 1 }],
  [[100, 31], { headDim: 33, heads: 4, keyHeads: 2, p: 0.3 }],
  [[17, 140], { headDim: 32, heads: 2, causal: 0 }],
];

export const attention: Samples<"attentionForward" | "attentionBackward"> = {
  attentionForward: [
    ...cases.map(packed),
    ...keptCases.map(keeping),
    ...cachedCases.map(cached),
    ...segmentCases.map(([lengths, given]) => segmented(lengths, given)),
    ...pagedCases.map(([lengths, given]) => paged(lengths, given)),
    ...[3, 19, 35].map(packedWithNan),
  ],
  attentionBackward: [
    ...cases.map((given) => backward(given)),
    ...keptCases.map((given) => backward(given, true)),
    backwardWithGaps({ queries: 18, headDim: 16, heads: 2, batch: 2 }),
    backwardWithGaps({ queries: 35, headDim: 33, p: 0.2 }),
    backwardWithGaps({ queries: 135, headDim: 17, heads: 2, causal: 0 }),
    backwardWithGaps({ queries: 135, headDim: 17, heads: 4, keyHeads: 2 }),
    ...documentCases.map(([lengths, given]) => segmentedBackward(lengths, given)),
  ],
};
