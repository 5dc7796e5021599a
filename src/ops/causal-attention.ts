/**
 * out[i] = Σ over j ≤ i of P[i, j]·v[j], P[i, :] = softmax over j ≤ i of q[i]·k[j] / √D (for each head)
 *
 * With a window w, j runs only over the last w positions, i − w < j ≤ i (Beltagy et al. 2020, Longformer). Without the
 * mask, j runs over all positions. The factor 1/√D can be replaced.
 *
 *   qkv [B, T, (H + 2·Hk)·D]   →   out [B, T, H·D];   qkv is q | k | v with heads side by side, or three tensors
 *   Hk divides H: head h of q reads head ⌊h·Hk/H⌋ of k and v (grouped queries, Ainslie et al. 2023)
 *   with dP = dout·vᵀ and δ[i] = dout[i]·out[i]:   dS = P·(dP − δ)     dq = dS·k/√D     dk = dSᵀ·q/√D     dv = Pᵀ·dout
 *   dk and dv are sums over the heads that share a key head
 *
 * Source: Vaswani et al. 2017. The op computes in tiles with running maxima, as FlashAttention does (Dao et al. 2022,
 * 2023). No matrix of size T×T is stored, except one bit per attention weight if dropout is on. Dropout acts on P, as
 * in torch.nn.functional.scaled_dot_product_attention.
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

/** Which tokens a position sees. `causal`: its own token and earlier tokens. `none`: the whole sequence. */
export type AttentionMask = "causal" | "none";

/** Numbers of heads, and the size of a head. */
export interface Heads {
  /** H, the number of query heads. */
  readonly heads: number;
  /** Hk, the number of key heads, and of value heads. H is a multiple of Hk. */
  readonly keyHeads: number;
  /** D */
  readonly headDim: number;
}

/**
 * One packed tensor [B, T, (H + 2·Hk)·D], or three tensors: [B, T, H·D] for q, and [B, T, Hk·D] for each of k and v.
 */
export type AttentionInput = Tensor | { readonly queries: Tensor; readonly keys: Tensor; readonly values: Tensor };

export interface AttentionOptions {
  /** Dropout probability of attention weights, in [0, 1). Used only if the context has dropout. Default 0. */
  readonly dropoutP?: number;
  /** Default causal. */
  readonly mask?: AttentionMask;
  /**
   * Maximum number of positions that a position sees: the position itself and the positions just before it. A maximum
   * needs the causal mask. Default null: no maximum.
   */
  readonly window?: number | null;
  /** Factor by which q·k is multiplied. Default 1/√D. */
  readonly scale?: number;
  /**
   * Sequences on the time axis, for a batch of one row. A position sees only the sequence to which it belongs. Default:
   * each row is one sequence.
   */
  readonly segments?: Segments | null;
}

/** The largest window that a kernel accepts. All sequences are shorter. */
const longestWindow = 2 ** 31 - 1;

const noDropout = { key0: 0, key1: 0, key2: 0, key3: 0, site: 0, p: 0 };

/** Columns of a tensor, beginning at `first`. */
interface Columns {
  readonly tensor: Tensor;
  readonly first: number;
}

const isPacked = (input: AttentionInput): input is Tensor => "storage" in input;

/** q, k and v as columns of the input tensors, together with the input tensors. */
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
    must: "heads must be a positive multiple of keyHeads; headDim must be at least 1",
    got: `heads ${heads}, keyHeads ${keyHeads} and headDim ${headDim}`,
  });
};

/** Checks the shapes of the input; returns B and T. */
const checkInput = (where: string, input: AttentionInput, shape: Heads) => {
  checkHeads(where, shape);
  const [batch, time] = (isPacked(input) ? input : input.queries).shape;
  if (batch === undefined || time === undefined) {
    throw new ShapeError({ where, must: "the input must be [B, T, channels]", got: "fewer dimensions" });
  }
  if (isPacked(input)) {
    checkShape(where, "qkv of these heads", input, [batch, time, packedWidth(shape)]);
  } else {
    const { heads, keyHeads, headDim } = shape;
    checkShape(where, "queries", input.queries, [batch, time, heads * headDim]);
    checkShape(where, "keys", input.keys, [batch, time, keyHeads * headDim]);
    checkShape(where, "values", input.values, [batch, time, keyHeads * headDim]);
  }
  return { batch, time };
};

const strideOf = ({ tensor }: Columns): number => tensor.shape.at(-1) ?? 0;

/** Size arguments of the forward and the backward kernel. Each row of the batch is a sequence of `time` positions. */
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

/**
 * Size arguments of the forward and the backward kernel for segments. The keys of the segments have `keyRows` rows with
 * stride `keyStride`.
 */
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

/** Arguments of the forward and the backward kernel, except tensors. */
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
 * Arguments of attentionForward. Every name is written out. Spreading objects into an object of thirty fields would
 * take a hundred times the time and three times the memory.
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
    must: `the input must be one row of ${rows} positions, the length of all segments together`,
    got: `${batch} rows of ${time}`,
  });
};

/** The window and the scale as kernel arguments. */
const windowAndScale = (
  where: string,
  { headDim }: Heads,
  { mask = "causal", window = null, scale = 1 / Math.sqrt(headDim) }: AttentionOptions,
) => {
  if (window !== null && !(Number.isSafeInteger(window) && window >= 1)) {
    throw new ShapeError({ where, must: "window must be a whole number from 1, or null", got: show(window) });
  }
  if (window !== null && mask !== "causal") {
    throw new ShapeError({ where, must: "mask must be causal if a window is given", got: show(mask) });
  }
  if (!Number.isFinite(scale)) throw new ShapeError({ where, must: "scale must be a finite number", got: show(scale) });
  return { window: Math.min(window ?? 0, longestWindow), scale };
};

/** Attention from each position to the positions that it sees. AttentionOptions describes the options. */
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
        must: "segments must have no earlier tokens, because only cachedCausalAttention reads a cache",
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
  // For segments, the backward pass draws the dropout mask again.
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

/**
 * Cached keys and values of one layer, [capacity, 2·Hk·D], in pages of `pageRows` rows. Each row contains k and then v
 * of one position.
 */
export interface AttentionCache {
  readonly keysAndValues: Tensor;
}

/**
 * Attention from new positions to all earlier positions. The keys and values of earlier positions are in `cache`. The
 * op adds the keys and values of the new positions to the cache. The op is only for inference. The bits are the same as
 * with `causalAttention` over each whole sequence.
 * @param qkv [1, T, (H + 2·Hk)·D]
 * @param segments each segment has a start, and pages of the cache. Pages before the windows of all positions of a
 * segment are not read, so their numbers may be arbitrary.
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
