import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { type AttentionCache, cachedCausalAttention, causalAttention } from "../ops/causal-attention.ts";
import { dropout } from "../ops/dropout.ts";
import { declareLinear, type LinearParameters, linearLayer } from "./linear.ts";
import type { Declare } from "./parameters.ts";

export interface AttentionConfig {
  readonly nEmbd: number;
  readonly nHead: number;
  readonly bias: { readonly qkv: boolean; readonly projection: boolean };
  readonly dropout: number;
  readonly initStd: number;
}

export interface AttentionParameters<P> {
  /** C → 3·C: queries, keys and values side by side, heads side by side in each. */
  readonly qkv: LinearParameters<P>;
  /** C → C */
  readonly projection: LinearParameters<P>;
}

export const declareAttention = <P>(
  declare: Declare<P>,
  name: string,
  { nEmbd, bias, initStd: std }: AttentionConfig,
): AttentionParameters<P> => ({
  qkv: declareLinear(declare, `${name}.qkv`, { inputs: nEmbd, outputs: 3 * nEmbd, bias: bias.qkv, std }),
  projection: declareLinear(declare, `${name}.projection`, {
    inputs: nEmbd,
    outputs: nEmbd,
    bias: bias.projection,
    std,
  }),
});

/** A layer's cache, and how many positions it already holds. */
export interface CachePosition {
  readonly cache: AttentionCache;
  readonly start: number;
}

/** Multi-head causal self-attention, [B, T, C] → [B, T, C]; `cached` null: the whole sequence is in x. */
export const causalSelfAttention = (
  context: Context,
  config: AttentionConfig,
  layer: AttentionParameters<Tensor>,
  x: Tensor,
  cached: CachePosition | null,
): Tensor => {
  const qkv = linearLayer(context, layer.qkv, x); // [B, T, 3C]
  const mixed =
    cached === null
      ? causalAttention(context, qkv, config.nHead, config.dropout)
      : cachedCausalAttention(context, qkv, config.nHead, cached.cache, cached.start); // [B, T, C]
  return dropout(context, linearLayer(context, layer.projection, mixed), config.dropout); // [B, T, C]
};
