import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { add } from "../ops/add.ts";
import {
  type AttentionConfig,
  type AttentionParameters,
  type CachePosition,
  causalSelfAttention,
  declareAttention,
} from "./causal-self-attention.ts";
import { declareMlp, type MlpConfig, type MlpParameters, mlp } from "./mlp.ts";
import { declareNorm, type NormConfig, type NormParameters, norm } from "./norm.ts";
import type { Declare } from "./parameters.ts";

export interface BlockConfig extends AttentionConfig {
  readonly norm: NormConfig;
  readonly mlp: MlpConfig;
  readonly bias: AttentionConfig["bias"] & { readonly mlp: boolean };
}

export interface BlockParameters<P> {
  readonly attentionNorm: NormParameters<P>;
  readonly attention: AttentionParameters<P>;
  readonly mlpNorm: NormParameters<P>;
  readonly mlp: MlpParameters<P>;
}

export const declareBlock = <P>(declare: Declare<P>, name: string, config: BlockConfig): BlockParameters<P> => ({
  attentionNorm: declareNorm(declare, `${name}.attentionNorm`, config.nEmbd),
  attention: declareAttention(declare, `${name}.attention`, config),
  mlpNorm: declareNorm(declare, `${name}.mlpNorm`, config.nEmbd),
  mlp: declareMlp(declare, `${name}.mlp`, config.mlp, {
    nEmbd: config.nEmbd,
    bias: config.bias.mlp,
    std: config.initStd,
  }),
});

/** A pre-norm transformer block: x + attention(norm(x)), then x + mlp(norm(x)). [B, T, C] → [B, T, C] */
export const block = (
  context: Context,
  config: BlockConfig,
  layer: BlockParameters<Tensor>,
  x: Tensor,
  cached: CachePosition | null,
): Tensor => {
  const attended = causalSelfAttention(
    context,
    config,
    layer.attention,
    norm(context, config.norm, layer.attentionNorm, x),
    cached,
  );
  const middle = add(context, x, attended);
  const transformed = mlp(
    context,
    config.mlp,
    layer.mlp,
    norm(context, config.norm, layer.mlpNorm, middle),
    config.dropout,
  );
  return add(context, middle, transformed);
};
