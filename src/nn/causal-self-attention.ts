import { type Context, spend } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import {
  type AttentionCache,
  type AttentionMask,
  cachedCausalAttention,
  causalAttention,
} from "../ops/causal-attention.ts";
import { type RotaryTable, rotary } from "../ops/rotary.ts";
import { declareLinear, type LinearParameters, linearLayer, residualLayer } from "./linear.ts";
import type { NormConfig } from "./norm.ts";
import type { Declare, Initialisation } from "./parameters.ts";

export interface AttentionConfig {
  readonly nEmbd: number;
  readonly nHead: number;
  readonly bias: { readonly qkv: boolean; readonly projection: boolean };
  readonly dropout: number;
  readonly mask: AttentionMask;
  readonly qkNorm: boolean;
  /** Its eps serves the norms of queries and keys too. */
  readonly norm: NormConfig;
}

export interface AttentionParameters<P> {
  /** C → 3·C: queries, keys and values side by side, heads side by side in each. */
  readonly qkv: LinearParameters<P>;
  /** RMS norm of each head's queries and keys, [D] each, the same for all heads; null without qkNorm. */
  readonly headNorms: { readonly query: P; readonly key: P } | null;
  /** C → C */
  readonly projection: LinearParameters<P>;
}

export interface AttentionInit {
  readonly init: Initialisation;
  /** Of the last layer, `projection`. */
  readonly projectionInit: Initialisation;
}

export const declareAttention = <P>(
  declare: Declare<P>,
  name: string,
  { nEmbd, nHead, bias, qkNorm }: AttentionConfig,
  { init, projectionInit }: AttentionInit,
): AttentionParameters<P> => {
  const headNorm = (of: string): P =>
    declare({ name: `${name}.${of}Norm.weight`, shape: [nEmbd / nHead], init: { kind: "ones" } });
  return {
    qkv: declareLinear(declare, `${name}.qkv`, {
      inputs: nEmbd,
      outputs: 3 * nEmbd,
      bias: bias.qkv,
      init,
      stacked: 3,
    }),
    headNorms: qkNorm ? { query: headNorm("query"), key: headNorm("key") } : null,
    projection: declareLinear(declare, `${name}.projection`, {
      inputs: nEmbd,
      outputs: nEmbd,
      bias: bias.projection,
      init: projectionInit,
      stacked: 1,
    }),
  };
};

/** A layer's cache, and how many positions it already holds. */
export interface CachePosition {
  readonly cache: AttentionCache;
  readonly start: number;
}

/**
 * residual + multi-head causal self-attention of x, [B, T, C] → [B, T, C].
 * @param angles of rotary positions; null: positions are told otherwise.
 * @param cached null: the whole sequence is in x.
 */
export const causalSelfAttention = (
  context: Context,
  config: AttentionConfig,
  layer: AttentionParameters<Tensor>,
  x: Tensor,
  residual: Tensor,
  angles: RotaryTable | null,
  cached: CachePosition | null,
): Tensor => {
  const { nHead, norm, mask } = config;
  const norms = layer.headNorms === null ? null : { ...layer.headNorms, eps: norm.eps };
  // Turned by angles they are rounded once, after that.
  const dtype = angles === null ? context.backend.capabilities.activations : undefined;
  const plain = linearLayer(context, layer.qkv, x, dtype); // [B, T, 3C]
  const qkv = angles === null ? plain : rotary(context, plain, nHead, angles, cached?.start ?? 0, norms);
  if (qkv !== plain) spend(context, plain);
  const mixed =
    cached === null
      ? causalAttention(context, qkv, nHead, config.dropout, mask)
      : cachedCausalAttention(context, qkv, nHead, cached.cache, cached.start); // [B, T, C]
  spend(context, qkv);
  const y = residualLayer(context, layer.projection, mixed, residual, config.dropout); // [B, T, C]
  spend(context, mixed);
  return y;
};
