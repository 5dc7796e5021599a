/**
 * out[i] = Σ over j ≤ i of P[i, j]·v[j],   P[i, :] = softmax over j ≤ i of q[i]·k[j] / √D        (for each head)
 * Without the mask both run over all j.
 *
 *   qkv [B, T, 3·C]   →   out [B, T, C],   C = H·D; q, k, v are its three thirds, heads side by side in each
 *   with dP = dout·vᵀ and δ[i] = dout[i]·out[i]:   dS = P·(dP − δ)     dq = dS·k/√D     dk = dSᵀ·q/√D     dv = Pᵀ·dout
 *
 * Vaswani et al. 2017; computed in tiles with running maxima as in FlashAttention (Dao et al. 2022, 2023), so
 * that nothing of size T×T is kept but, where there is dropout, a bit for each weight. Dropout acts on P, as in
 * torch.nn.functional.scaled_dot_product_attention.
 */
import { type Context, dropoutSource } from "../autograd/context.ts";
import { slice, type Tensor } from "../autograd/tensor.ts";
import type { View } from "../backend/backend.ts";
import { wordsOf } from "../backend/kernels/sizes.ts";
import { ShapeError } from "../core/errors.ts";
import { randomKey } from "../core/random.ts";
import { formatShape } from "../core/shape.ts";
import { dropoutArguments } from "./dropout.ts";
import { type OpSample, sampleInput } from "./op.ts";

/** What a position sees. `causal`: itself and those before it; `none`: the whole sequence. */
export type AttentionMask = "causal" | "none";

const noDropout = { key0: 0, key1: 0, key2: 0, key3: 0, site: 0, p: 0 };

const dimensions = (where: string, qkv: Tensor, heads: number) => {
  const [batch, time, width] = qkv.shape;
  if (batch === undefined || time === undefined || width === undefined || width % (3 * heads) !== 0) {
    throw new ShapeError({
      where,
      must: `qkv must be [B, T, 3·C] with C a multiple of the ${heads} heads`,
      got: formatShape(qkv.shape),
    });
  }
  return { batch, time, channels: width / 3, headDim: width / 3 / heads };
};

const thirds = (qkv: Tensor, channels: number): readonly [View, View, View] => [
  qkv,
  { storage: qkv.storage, offset: qkv.offset + channels },
  { storage: qkv.storage, offset: qkv.offset + 2 * channels },
];

/**
 * Every position attends to itself and to those before it; with `mask` "none", to all of the sequence. `dropoutP` in
 * [0, 1) drops attention weights.
 */
export const causalAttention = (
  context: Context,
  qkv: Tensor,
  heads: number,
  dropoutP: number,
  mask: AttentionMask = "causal",
): Tensor => {
  const { backend, memory, tape } = context;
  const { batch, time, channels, headDim } = dimensions("causalAttention", qkv, heads);
  const draw =
    context.dropout === null || dropoutP === 0
      ? noDropout
      : { ...dropoutArguments(context.dropout.key, context.dropout.nextSite()), p: dropoutP };
  const sizes = {
    batch,
    queries: time,
    start: 0,
    heads,
    headDim,
    queryStride: 3 * channels,
    queryBatchStride: time * 3 * channels,
    keyStride: 3 * channels,
    keyBatchStride: time * 3 * channels,
    causal: mask === "causal" ? 1 : 0,
    scale: 1 / Math.sqrt(headDim),
    ...draw,
  };
  const [q, k, v] = thirds(qkv, channels);
  const out = memory.allocate([batch, time, channels], qkv.storage.dtype);
  const logSumExp = memory.allocate([batch, heads, time]);
  const keeps = tape !== null && draw.p > 0;
  const kept = keeps ? memory.allocate([batch, heads, wordsOf(time), time], "int32") : null;
  backend.run("attentionForward", { q, k, v, out, logSumExp, kept, ...sizes });

  if (tape === null) {
    memory.release(logSumExp);
    return out;
  }
  tape.record(out, [qkv], kept === null ? [logSumExp] : [logSumExp, kept], (dOut) => {
    const dQkv = memory.allocate(qkv.shape, qkv.storage.dtype);
    const [dq, dk, dv] = thirds(dQkv, channels);
    backend.run("attentionBackward", { dOut, q, k, v, out, logSumExp, kept, dq, dk, dv, ...sizes });
    tape.accumulate(qkv, dQkv);
  });
  return out;
};

/** Keys and values of one layer, [capacity, 2·C]: row t holds k then v of position t. */
export interface AttentionCache {
  readonly keysAndValues: Tensor;
}

/**
 * Attention of new positions start … start + T − 1 of one sequence (B = 1) over all before them, whose keys and values
 * are in `cache`; theirs are added to it. Inference only. Same bits as `causalAttention` over the whole sequence.
 */
export const cachedCausalAttention = (
  context: Context,
  qkv: Tensor,
  heads: number,
  cache: AttentionCache,
  start: number,
): Tensor => {
  const { backend, memory } = context;
  const { batch, time, channels, headDim } = dimensions("cachedCausalAttention", qkv, heads);
  const [capacity, width] = cache.keysAndValues.shape;
  if (batch !== 1 || capacity === undefined || width !== 2 * channels || start + time > capacity) {
    throw new ShapeError({
      where: "cachedCausalAttention",
      must: `one sequence must end within a cache of [capacity, ${2 * channels}]`,
      got: `${formatShape(qkv.shape)} at ${start} with a cache of ${formatShape(cache.keysAndValues.shape)}`,
    });
  }
  const [q, k] = thirds(qkv, channels);
  const row = 2 * channels;
  const target = slice(cache.keysAndValues, start * row, [time, row]);
  backend.run("copyRows", { x: k, y: target, rows: time, width: row, xStride: 3 * channels, yStride: row });
  const out = memory.allocate([1, time, channels], qkv.storage.dtype);
  const logSumExp = memory.allocate([1, heads, time]);
  const cached = cache.keysAndValues;
  backend.run("attentionForward", {
    q,
    k: cached,
    v: { storage: cached.storage, offset: cached.offset + channels },
    out,
    logSumExp,
    kept: null,
    batch: 1,
    queries: time,
    start,
    heads,
    headDim,
    queryStride: 3 * channels,
    queryBatchStride: time * 3 * channels,
    keyStride: row,
    keyBatchStride: capacity * row,
    causal: 1,
    scale: 1 / Math.sqrt(headDim),
    ...noDropout,
  });
  memory.release(logSumExp);
  return out;
};

const sample = (
  name: string,
  b: number,
  t: number,
  heads: number,
  headDim: number,
  p = 0,
  mask: AttentionMask = "causal",
): OpSample => ({
  name: mask === "causal" ? name : `${name}, no mask`,
  inputs: { qkv: [b, t, 3 * heads * headDim] },
  run: (context, inputs) =>
    causalAttention(
      { ...context, dropout: dropoutSource(randomKey(2, "dropout")) },
      sampleInput(inputs, "qkv"),
      heads,
      p,
      mask,
    ),
});

export const samples: readonly OpSample[] = [
  sample("one position", 1, 1, 1, 2),
  sample("odd sizes", 2, 5, 3, 7),
  sample("dropout", 1, 6, 2, 4, 0.3),
  sample("past one key block", 1, 70, 1, 3),
  sample("one position", 1, 1, 1, 2, 0, "none"),
  sample("odd sizes", 2, 5, 3, 7, 0, "none"),
  sample("dropout", 1, 6, 2, 4, 0.3, "none"),
];
