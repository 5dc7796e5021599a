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
import { declareLinear, type LinearParameters, linearLayer, residualLayer } from "./linear.ts";
import type { NormConfig } from "./norm.ts";
import type { Declare, Initialisation } from "./parameters.ts";

export interface AttentionConfig {
  readonly nEmbd: number;
  readonly nHead: number;
  /** Of keys and values; undefined: `nHead`. */
  readonly nKvHead?: number | undefined;
  /** undefined: nEmbd / nHead. */
  readonly headDim?: number | undefined;
  readonly bias: { readonly qkv: boolean; readonly projection: boolean };
  readonly dropout: number;
  readonly mask: AttentionMask;
  readonly qkNorm: boolean;
  /** Its eps serves the norms of queries and keys too. */
  readonly norm: NormConfig;
}

/** How a model's heads are divided. */
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
  /** C → (H + 2·Hk)·D: queries, keys and values side by side, heads side by side in each. */
  readonly qkv: LinearParameters<P>;
  /** RMS norm of each head's queries and keys, [D] each, the same for all heads; null without qkNorm. */
  readonly headNorms: {
    /** Of queries, [D]. */
    readonly query: P;
    /** Of keys, [D]. */
    readonly key: P;
  } | null;
  /** H·D → C */
  readonly projection: LinearParameters<P>;
  /** Heads that are switched off: the projection reads zeros in their place. Absent: none. */
  readonly headsOff?: readonly number[] | undefined;
}

export interface AttentionInit {
  readonly init: Initialisation;
  /** Of the last layer, `projection`. */
  readonly projectionInit: Initialisation;
}

export const declareAttention = <P>(
  declare: Declare<P>,
  name: string,
  config: AttentionConfig,
  { init, projectionInit }: AttentionInit,
): AttentionParameters<P> => {
  const { nEmbd, bias, qkNorm } = config;
  const { heads, keyHeads, headDim } = headsOf(config);
  const stacked = [heads * headDim, keyHeads * headDim, keyHeads * headDim];
  const headNorm = (of: string): P =>
    declare({ name: `${name}.${of}Norm.weight`, shape: [headDim], init: { kind: "ones" } });
  return {
    qkv: declareLinear(declare, `${name}.qkv`, {
      inputs: nEmbd,
      outputs: (heads + 2 * keyHeads) * headDim,
      bias: bias.qkv,
      init,
      stacked,
    }),
    headNorms: qkNorm ? { query: headNorm("query"), key: headNorm("key") } : null,
    projection: declareLinear(declare, `${name}.projection`, {
      inputs: heads * headDim,
      outputs: nEmbd,
      bias: bias.projection,
      init: projectionInit,
      stacked: [nEmbd],
    }),
  };
};

/** The sequences of a pass. */
export interface Sequences {
  /** The segments that a batch of one is divided into; null: each row of the batch is a sequence. */
  readonly segments: Segments | null;
  /** This layer's keys and values of what comes before segments with pages; null: the whole sequences are in the pass. */
  readonly cache: AttentionCache | null;
}

/**
 * Queries, keys and values as attention reads them, after the norm of heads and the rotation:
 * [B, T, C] → [B, T, (H + 2·Hk)·D], side by side.
 * @param angles of rotary positions; null: positions are told otherwise.
 */
export const queriesKeysValues = (
  context: Context,
  config: AttentionConfig,
  layer: AttentionParameters<Tensor>,
  x: Tensor,
  angles: RotaryTable | null,
  segments: Segments | null,
): Tensor => {
  const norms = layer.headNorms === null ? null : { ...layer.headNorms, eps: config.norm.eps };
  // Turned by angles they are rounded once, after that.
  const dtype = angles === null ? context.backend.capabilities.activations : undefined;
  const plain = linearLayer(context, layer.qkv, x, dtype);
  if (angles === null) return plain;
  const turned = rotary(context, plain, headsOf(config), angles, segments, norms);
  spend(context, plain);
  return turned;
};

/**
 * residual + multi-head causal self-attention of x, [B, T, C] → [B, T, C].
 * @param angles of rotary positions; null: positions are told otherwise.
 */
export const causalSelfAttention = (
  context: Context,
  config: AttentionConfig,
  layer: AttentionParameters<Tensor>,
  x: Tensor,
  residual: Tensor,
  angles: RotaryTable | null,
  { segments, cache }: Sequences,
): Tensor => {
  const { mask, dropout } = config;
  const heads = headsOf(config);
  const qkv = queriesKeysValues(context, config, layer, x, angles, segments); // [B, T, (H + 2·Hk)·D]
  const all =
    cache === null || segments === null
      ? causalAttention(context, qkv, heads, { dropoutP: dropout, mask, segments })
      : cachedCausalAttention(context, qkv, heads, cache, segments); // [B, T, H·D]
  spend(context, qkv);
  const mixed = layer.headsOff === undefined ? all : zeroHeads(context, all, heads, layer.headsOff);
  if (mixed !== all) spend(context, all);
  const y = residualLayer(context, layer.projection, mixed, residual, dropout); // [B, T, C]
  spend(context, mixed);
  return y;
};
