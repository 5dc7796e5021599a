/**
 * out[i] = Σ over j ≤ i of P[i, j]·v[j],   P[i, :] = softmax over j ≤ i of q[i]·k[j] / √D        (for each head)
 * With a window w both run over the last w of these j, i − w < j (Beltagy et al. 2020, Longformer); without the mask over all j.
 * Another scale may stand for 1/√D.
 *
 *   qkv [B, T, (H + 2·Hk)·D]   →   out [B, T, H·D];   q | k | v, heads side by side in each. Or a tensor for each of them.
 *   Hk divides H: head h of q reads head ⌊h·Hk/H⌋ of k and v (grouped queries, Ainslie et al. 2023)
 *   with dP = dout·vᵀ and δ[i] = dout[i]·out[i]:   dS = P·(dP − δ)     dq = dS·k/√D     dk = dSᵀ·q/√D     dv = Pᵀ·dout
 *   where dk and dv are summed over the heads that share them
 *
 * Vaswani et al. 2017; computed in tiles with running maxima as in FlashAttention (Dao et al. 2022, 2023), so
 * that nothing of size T×T is kept but, where there is dropout, a bit for each weight. Dropout acts on P, as in
 * torch.nn.functional.scaled_dot_product_attention.
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { View } from "../backend/backend.ts";
import { packedWidth, pageRows, wordsOf } from "../backend/kernels/sizes.ts";
import { ShapeError } from "../core/errors/errors.ts";
import { formatShape, type Shape } from "../core/tensors/shape.ts";
import { show } from "../core/text/show.ts";
import { dropoutArguments } from "./dropout.ts";
import type { Segments } from "./segments.ts";

/** What a position sees. `causal`: itself and those before it; `none`: the whole sequence. */
export type AttentionMask = "causal" | "none";

/** How heads are divided. */
export interface Heads {
  /** H, of queries. */
  readonly heads: number;
  /** Hk, of keys and of values. Divides H. */
  readonly keyHeads: number;
  /** D */
  readonly headDim: number;
}

/** [B, T, (H + 2·Hk)·D], or [B, T, H·D] and twice [B, T, Hk·D]. */
export type AttentionInput = Tensor | { readonly queries: Tensor; readonly keys: Tensor; readonly values: Tensor };

export interface AttentionOptions {
  /** In [0, 1): drops attention weights where the context drops. Default 0. */
  readonly dropoutP?: number;
  /** Default causal. */
  readonly mask?: AttentionMask;
  /** How many positions a position sees at most: itself and those just before it. Needs the causal mask. Default null: all. */
  readonly window?: number | null;
  /** Factor of q·k. Default 1/√D. */
  readonly scale?: number;
  /** The sequences that the time axis of a batch of one holds: a position sees its own alone. Absent: each row is one. */
  readonly segments?: Segments | null;
}

/** The largest that a kernel takes; no sequence is as long. */
const longestWindow = 2 ** 31 - 1;

const noDropout = { key0: 0, key1: 0, key2: 0, key3: 0, site: 0, p: 0 };

/** Columns `first` … of a tensor's rows. */
interface Columns {
  readonly tensor: Tensor;
  readonly first: number;
}

const isPacked = (input: AttentionInput): input is Tensor => "storage" in input;

/** q, k and v as parts of what is given, and the tensors that are given. */
const partsOf = (input: AttentionInput, { heads, keyHeads, headDim }: Heads) => {
  if (!isPacked(input)) {
    const { queries, keys, values } = input;
    const of = (tensor: Tensor): Columns => ({ tensor, first: 0 });
    return { q: of(queries), k: of(keys), v: of(values), tensors: [queries, keys, values] };
  }
  const of = (first: number): Columns => ({ tensor: input, first });
  return { q: of(0), k: of(heads * headDim), v: of((heads + keyHeads) * headDim), tensors: [input] };
};

const viewOf = ({ tensor, first }: Columns): View => ({ storage: tensor.storage, offset: tensor.offset + first });

const checkShape = (where: string, name: string, { shape }: Tensor, wanted: Shape): void => {
  if (shape.length === wanted.length && shape.every((size, i) => size === wanted[i])) return;
  throw new ShapeError({ where, must: `${name} must be ${formatShape(wanted)}`, got: formatShape(shape) });
};

const checkHeads = (where: string, { heads, keyHeads, headDim }: Heads): void => {
  const whole = [heads, keyHeads, headDim].every((size) => Number.isSafeInteger(size) && size >= 1);
  if (whole && heads % keyHeads === 0) return;
  throw new ShapeError({
    where,
    must: "there must be 1 or more heads of 1 or more channels, as many or a multiple of those of keys",
    got: `${heads} of ${headDim} channels, and ${keyHeads} of keys`,
  });
};

/** B and T of what is given, whose shapes fit. */
const checkInput = (where: string, input: AttentionInput, shape: Heads) => {
  checkHeads(where, shape);
  const [batch, time] = (isPacked(input) ? input : input.queries).shape;
  if (batch === undefined || time === undefined) {
    throw new ShapeError({ where, must: "what is attended must be [B, T, channels]", got: "fewer dimensions" });
  }
  if (isPacked(input)) {
    checkShape(where, "qkv, of the heads that are given,", input, [batch, time, packedWidth(shape)]);
  } else {
    const { heads, keyHeads, headDim } = shape;
    checkShape(where, "queries", input.queries, [batch, time, heads * headDim]);
    checkShape(where, "keys", input.keys, [batch, time, keyHeads * headDim]);
    checkShape(where, "values", input.values, [batch, time, keyHeads * headDim]);
  }
  return { batch, time };
};

const strideOf = ({ tensor }: Columns): number => tensor.shape.at(-1) ?? 0;

/** What both directions are told of the batch, whose rows are sequences of `time` positions. */
const batchSizes = (batch: number, time: number, q: Columns, k: Columns) => ({
  batch,
  queries: time,
  start: 0,
  queryStride: strideOf(q),
  queryBatchStride: time * strideOf(q),
  keyStride: strideOf(k),
  keyBatchStride: time * strideOf(k),
  rows: 0,
  keyRows: 0,
});

/** The same of segments, whose keys have `keyRows` rows of `keyStride`. */
const segmentSizes = ({ list, longest, rows }: Segments, q: Columns, keyStride: number, keyRows: number) => ({
  batch: list.length,
  queries: longest,
  start: 0,
  queryStride: strideOf(q),
  queryBatchStride: 0,
  keyStride,
  keyBatchStride: 0,
  rows,
  keyRows,
});

/** What both directions are told but tensors. */
interface Laid {
  readonly shape: Heads;
  readonly sizes: ReturnType<typeof batchSizes>;
  readonly mask: AttentionMask;
  /** 0: none. */
  readonly window: number;
  readonly scale: number;
  readonly segments: Segments | null;
  readonly draw: typeof noDropout;
}

type Tensors<Name extends string> = Readonly<Record<Name, Tensor | View>> & { readonly kept: Tensor | null };

/**
 * A call of attentionForward. Every name is written out, here and below: an object of thirty that is made from another by spreading
 * takes a hundred times as long, and three times the memory.
 */
const forwardCall = (
  { q, k, v, out, logSumExp, kept }: Tensors<"q" | "k" | "v" | "out" | "logSumExp">,
  { shape, sizes, mask, window, scale, segments, draw }: Laid,
  pages: Tensor | null,
) => ({
  q,
  k,
  v,
  out,
  logSumExp,
  kept,
  pages,
  pageCount: pages?.shape[0] ?? 0,
  segments: segments?.table ?? null,
  batch: sizes.batch,
  queries: sizes.queries,
  start: sizes.start,
  heads: shape.heads,
  keyHeads: shape.keyHeads,
  headDim: shape.headDim,
  queryStride: sizes.queryStride,
  queryBatchStride: sizes.queryBatchStride,
  keyStride: sizes.keyStride,
  keyBatchStride: sizes.keyBatchStride,
  rows: sizes.rows,
  keyRows: sizes.keyRows,
  causal: mask === "causal" ? 1 : 0,
  window,
  scale,
  key0: draw.key0,
  key1: draw.key1,
  key2: draw.key2,
  key3: draw.key3,
  site: draw.site,
  p: draw.p,
});

const backwardCall = (
  {
    dOut,
    q,
    k,
    v,
    out,
    logSumExp,
    kept,
    dq,
    dk,
    dv,
  }: Tensors<"dOut" | "q" | "k" | "v" | "out" | "logSumExp" | "dq" | "dk" | "dv">,
  { shape, sizes, mask, window, scale, segments, draw }: Laid,
) => ({
  dOut,
  q,
  k,
  v,
  out,
  logSumExp,
  kept,
  dq,
  dk,
  dv,
  segments: segments?.table ?? null,
  batch: sizes.batch,
  queries: sizes.queries,
  start: sizes.start,
  heads: shape.heads,
  keyHeads: shape.keyHeads,
  headDim: shape.headDim,
  queryStride: sizes.queryStride,
  queryBatchStride: sizes.queryBatchStride,
  keyStride: sizes.keyStride,
  keyBatchStride: sizes.keyBatchStride,
  rows: sizes.rows,
  keyRows: sizes.keyRows,
  causal: mask === "causal" ? 1 : 0,
  window,
  scale,
  key0: draw.key0,
  key1: draw.key1,
  key2: draw.key2,
  key3: draw.key3,
  site: draw.site,
  p: draw.p,
});

const checkSegments = (where: string, { rows }: Segments, batch: number, time: number): void => {
  if (batch === 1 && rows === time) return;
  throw new ShapeError({
    where,
    must: `segments must fill the time axis of one row: ${rows} positions`,
    got: `${batch} rows of ${time}`,
  });
};

/** The window and the scale of a kernel's call. */
const windowAndScale = (
  where: string,
  { headDim }: Heads,
  { mask = "causal", window = null, scale = 1 / Math.sqrt(headDim) }: AttentionOptions,
) => {
  if (window !== null && !(Number.isSafeInteger(window) && window >= 1)) {
    throw new ShapeError({ where, must: "window must be a whole number from 1 on, or null", got: show(window) });
  }
  if (window !== null && mask !== "causal") {
    throw new ShapeError({ where, must: "mask must be causal where there is a window", got: show(mask) });
  }
  if (!Number.isFinite(scale)) throw new ShapeError({ where, must: "scale must be a finite number", got: show(scale) });
  return { window: Math.min(window ?? 0, longestWindow), scale };
};

/** Of each position over those that it sees. See AttentionOptions for what may be told besides. */
export const causalAttention = (
  context: Context,
  input: AttentionInput,
  shape: Heads,
  options: AttentionOptions = {},
): Tensor => {
  const { dropoutP = 0, mask = "causal", segments = null } = options;
  const { backend, memory, tape } = context;
  const { batch, time } = checkInput("causalAttention", input, shape);
  if (segments !== null) {
    checkSegments("causalAttention", segments, batch, time);
    const later = segments.list.find(({ start }) => start !== 0);
    if (later !== undefined || segments.pages !== null) {
      throw new ShapeError({
        where: "causalAttention",
        must: "segments must begin in this pass: what comes before is in a cache",
        got: later === undefined ? "segments with pages" : `a start of ${later.start}`,
      });
    }
  }
  const { q, k, v, tensors } = partsOf(input, shape);
  const draw =
    context.dropout === null || dropoutP === 0
      ? noDropout
      : { ...dropoutArguments(context.dropout.key, context.dropout.nextSite()), p: dropoutP };
  const sizes = segments === null ? batchSizes(batch, time, q, k) : segmentSizes(segments, q, strideOf(k), time);
  const laid: Laid = { shape, sizes, mask, ...windowAndScale("causalAttention", shape, options), segments, draw };
  const out = memory.allocate([batch, time, shape.heads * shape.headDim], q.tensor.storage.dtype);
  const logSumExp = memory.allocate([batch, shape.heads, time]);
  // Of segments the mask is drawn again.
  const keeps = tape !== null && draw.p > 0 && segments === null;
  const kept = keeps ? memory.allocate([batch, shape.heads, wordsOf(time), time], "int32") : null;
  const [queries, keys, values] = [viewOf(q), viewOf(k), viewOf(v)];
  const given = { q: queries, k: keys, v: values, out, logSumExp, kept };
  backend.run("attentionForward", forwardCall(given, laid, null));

  if (tape === null) {
    memory.release(logSumExp);
    return out;
  }
  tape.record(out, tensors, kept === null ? [logSumExp] : [logSumExp, kept], (dOut) => {
    const gradients = tensors.map((tensor) => memory.allocate(tensor.shape, tensor.storage.dtype));
    const gradientOf = ({ tensor, first }: Columns): View =>
      viewOf({ tensor: gradients[tensors.indexOf(tensor)] as Tensor, first });
    const [dq, dk, dv] = [gradientOf(q), gradientOf(k), gradientOf(v)];
    const told = { dOut, q: queries, k: keys, v: values, out, logSumExp, kept, dq, dk, dv };
    backend.run("attentionBackward", backwardCall(told, laid));
    for (const [i, tensor] of tensors.entries()) tape.accumulate(tensor, gradients[i] as Tensor);
  });
  return out;
};

/** Keys and values of one layer, [capacity, 2·Hk·D], in pages of `pageRows` rows: each holds k then v of a position. */
export interface AttentionCache {
  readonly keysAndValues: Tensor;
}

/**
 * Attention of new positions over all before them, whose keys and values are in `cache`; theirs are added to it. Inference
 * only. Same bits as `causalAttention` over each whole sequence.
 *
 * @param qkv [1, T, (H + 2·Hk)·D]
 * @param segments each has its own start, and pages of the cache. Pages before the windows of all positions of a segment are
 * not read: any number may stand for them.
 * @param options window and scale, as in `causalAttention`.
 */
export const cachedCausalAttention = (
  context: Context,
  qkv: Tensor,
  shape: Heads,
  cache: AttentionCache,
  segments: Segments,
  options: Pick<AttentionOptions, "window" | "scale"> = {},
): Tensor => {
  const { backend, memory } = context;
  const where = "cachedCausalAttention";
  const { batch, time } = checkInput(where, qkv, shape);
  const { heads, keyHeads, headDim } = shape;
  const keyWidth = keyHeads * headDim;
  const row = 2 * keyWidth;
  const cached = cache.keysAndValues;
  const [capacity, width] = cached.shape;
  const { pages } = segments;
  checkSegments(where, segments, batch, time);
  if (pages === null) throw new ShapeError({ where, must: "segments must have pages of the cache", got: "none" });
  if (capacity === undefined || width !== row || pages.needed * pageRows > capacity) {
    throw new ShapeError({
      where,
      must: `${pages.needed} pages must lie within a cache of [capacity, ${row}]`,
      got: formatShape(cached.shape),
    });
  }
  const { q, k } = partsOf(qkv, shape);
  const stride = strideOf(q);
  const rows = { rows: time, width: row, xStride: stride, yRows: capacity };
  backend.run("placeRows", { x: viewOf(k), y: cached, places: pages.rows, ...rows });
  const out = memory.allocate([1, time, heads * headDim], qkv.storage.dtype);
  const logSumExp = memory.allocate([1, heads, time]);
  const sizes = segmentSizes(segments, q, row, capacity);
  const values = viewOf({ tensor: cached, first: keyWidth });
  backend.run(
    "attentionForward",
    forwardCall(
      { q: viewOf(q), k: cached, v: values, out, logSumExp, kept: null },
      { shape, sizes, mask: "causal", ...windowAndScale(where, shape, options), segments, draw: noDropout },
      pages.numbers,
    ),
  );
  memory.release(logSumExp);
  return out;
};
