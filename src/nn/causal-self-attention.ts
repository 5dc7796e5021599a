import { type Context, spend } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import {
  type AttentionCache,
  type AttentionMask,
  cachedCausalAttention,
  causalAttention,
  type Heads,
} from "../ops/causal-attention.ts";
import { type RotaryTable, rotary } from "../ops/rotary.ts";
import type { Segments } from "../ops/segments.ts";
import { zeroHeads } from "../ops/zero-heads.ts";
import type { LayerSpec } from "./layer-spec.ts";
import { type BranchEnd, declareLinear, type LinearParameters, lastLayer, linearLayer } from "./linear.ts";
import type { NormConfig } from "./norm.ts";
import type { Declare, Initialisation } from "./parameters.ts";

export interface AttentionConfig {
  readonly nEmbd: number;
  readonly nHead: number;
  /** Number of key heads, and of value heads. If undefined, it is `nHead`. */
  readonly nKvHead?: number | undefined;
  /** undefined: nEmbd / nHead. */
  readonly headDim?: number | undefined;
  readonly bias: { readonly qkv: boolean; readonly projection: boolean };
  readonly dropout: number;
  readonly mask: AttentionMask;
  /** Norm of the model. The norms of queries and keys use the same eps. */
  readonly norm: NormConfig;
}

/** Numbers of heads of a model, and the size of a head. */
export const headsOf = ({
  nEmbd,
  nHead,
  nKvHead,
  headDim,
}: Pick<AttentionConfig, "nEmbd" | "nHead" | "nKvHead" | "headDim">): Heads => ({
  heads: nHead,
  keyHeads: nKvHead ?? nHead,
  headDim: headDim ?? nEmbd / nHead,
});

export interface AttentionParameters<P> {
  /** C → (H + 2·Hk)·D: queries, keys and values side by side. In each of the three, the heads are side by side. */
  readonly qkv: LinearParameters<P>;
  /** RMS norms of queries and keys. Null if the model has no such norms. */
  readonly headNorms: {
    /** Weight for queries: [D] if all heads share it, or [H·D] for one norm over all heads. */
    readonly query: P;
    /** Weight for keys: [D] if all heads share it, or [Hk·D] for one norm over all heads. */
    readonly key: P;
  } | null;
  /** H·D → C */
  readonly projection: LinearParameters<P>;
  /** Heads that are switched off. The projection reads zeros for these heads. Absent if no head is switched off. */
  readonly headsOff?: readonly number[] | undefined;
}

export interface AttentionInit {
  readonly init: Initialisation;
  /** Settings of the last layer, `projection`. */
  readonly projectionInit: Initialisation;
}

export const declareAttention = <P>(
  declare: Declare<P>,
  name: string,
  config: AttentionConfig,
  { qkNorm }: LayerSpec,
  { init, projectionInit }: AttentionInit,
): AttentionParameters<P> => {
  const { nEmbd, bias } = config;
  const { heads, keyHeads, headDim } = headsOf(config);
  const stacked = [heads * headDim, keyHeads * headDim, keyHeads * headDim];
  const headNorm = (of: string, count: number): P => {
    const width = (qkNorm === "all" ? count : 1) * headDim;
    return declare({ name: `${name}.${of}Norm.weight`, shape: [width], init: { kind: "ones" } });
  };
  return {
    qkv: declareLinear(declare, `${name}.qkv`, {
      inputs: nEmbd,
      outputs: (heads + 2 * keyHeads) * headDim,
      bias: bias.qkv,
      init,
      stacked,
    }),
    headNorms: qkNorm !== "none" ? { query: headNorm("query", heads), key: headNorm("key", keyHeads) } : null,
    projection: declareLinear(declare, `${name}.projection`, {
      inputs: heads * headDim,
      outputs: nEmbd,
      bias: bias.projection,
      init: projectionInit,
      stacked: [nEmbd],
    }),
  };
};

/** The sequences of a forward pass. */
export interface Sequences {
  /** Segments into which a batch of one row is divided. Null if each row of the batch is a sequence. */
  readonly segments: Segments | null;
  /**
   * Keys and values of earlier tokens in this layer, for segments with pages. Null if the forward pass contains the
   * whole sequences.
   */
  readonly cache: AttentionCache | null;
}

/**
 * Queries, keys and values for attention, after the norm of heads and the rotation: [B, T, C] → [B, T, (H + 2·Hk)·D],
 * side by side.
 * @param angles if null, queries and keys are not rotated.
 */
export const queriesKeysValues = (
  context: Context,
  config: AttentionConfig,
  { qkNorm }: LayerSpec,
  layer: AttentionParameters<Tensor>,
  x: Tensor,
  angles: RotaryTable | null,
  segments: Segments | null,
): Tensor => {
  const norms =
    layer.headNorms === null || qkNorm === "none" ? null : { ...layer.headNorms, eps: config.norm.eps, width: qkNorm };
  const isPlain = angles === null && norms === null;
  // Values are rounded only once, after the norm and the rotation.
  const dtype = isPlain ? context.backend.capabilities.activations : undefined;
  const plain = linearLayer(context, layer.qkv, x, dtype);
  if (isPlain) return plain;
  const turned = rotary(context, plain, headsOf(config), angles, segments, norms);
  // The rotation back needs no values, so they need no memory until the backward pass.
  if (norms === null) context.tape?.drop(plain);
  spend(context, plain);
  return turned;
};

/**
 * residual + multi-head causal self-attention of x, [B, T, C] → [B, T, C].
 * @param angles if null, queries and keys are not rotated.
 */
export const causalSelfAttention = (
  context: Context,
  config: AttentionConfig,
  spec: LayerSpec,
  layer: AttentionParameters<Tensor>,
  x: Tensor,
  end: BranchEnd,
  angles: RotaryTable | null,
  { segments, cache }: Sequences,
): Tensor => {
  const { mask, dropout } = config;
  const { window, scale } = spec;
  const heads = headsOf(config);
  const qkv = queriesKeysValues(context, config, spec, layer, x, angles, segments); // [B, T, (H + 2·Hk)·D]
  const all =
    cache === null || segments === null
      ? causalAttention(context, qkv, heads, { dropoutP: dropout, mask, segments, window, scale })
      : cachedCausalAttention(context, qkv, heads, cache, segments, { window, scale }); // [B, T, H·D]
  spend(context, qkv);
  const mixed = layer.headsOff === undefined ? all : zeroHeads(context, all, heads, layer.headsOff);
  if (mixed !== all) spend(context, all);
  const y = lastLayer(context, layer.projection, mixed, end); // [B, T, C]
  spend(context, mixed);
  return y;
};
