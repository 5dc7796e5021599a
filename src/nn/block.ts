import { type Context, spend } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { RotaryTable } from "../ops/rotary.ts";
import {
  type AttentionConfig,
  type AttentionParameters,
  causalSelfAttention,
  declareAttention,
  type Sequences,
} from "./causal-self-attention.ts";
import { declareMlp, type MlpConfig, type MlpParameters, mlp } from "./mlp.ts";
import { declareNorm, type NormParameters, norm } from "./norm.ts";
import type { Declare } from "./parameters.ts";

export interface BlockConfig extends AttentionConfig {
  readonly mlp: MlpConfig;
  readonly bias: AttentionConfig["bias"] & { readonly mlp: boolean };
  readonly initStd: number;
  readonly zeroProjections: boolean;
}

export interface BlockParameters<P> {
  /** The norm before attention. */
  readonly attentionNorm: NormParameters<P>;
  /** Causal self-attention. */
  readonly attention: AttentionParameters<P>;
  /** The norm before the MLP. */
  readonly mlpNorm: NormParameters<P>;
  /** The position-wise branch. */
  readonly mlp: MlpParameters<P>;
}

export const declareBlock = <P>(declare: Declare<P>, name: string, config: BlockConfig): BlockParameters<P> => {
  const { nEmbd, norm, bias, initStd: std } = config;
  const init = { kind: "normal", std } as const;
  const projectionInit = config.zeroProjections ? ({ kind: "zeros" } as const) : init;
  return {
    attentionNorm: declareNorm(declare, `${name}.attentionNorm`, norm, nEmbd),
    attention: declareAttention(declare, `${name}.attention`, config, { init, projectionInit }),
    mlpNorm: declareNorm(declare, `${name}.mlpNorm`, norm, nEmbd),
    mlp: declareMlp(declare, `${name}.mlp`, config.mlp, { nEmbd, bias: bias.mlp, init, projectionInit }),
  };
};

/** Places in a block that drop: the attention's weights, its result, the MLP's result. */
export const dropoutPlacesOfBlock = 3;

/** The first half of a block: x + attention(norm(x)). [B, T, C] → [B, T, C] */
export const attentionBranch = (
  context: Context,
  config: BlockConfig,
  layer: BlockParameters<Tensor>,
  x: Tensor,
  angles: RotaryTable | null,
  sequences: Sequences,
): Tensor => {
  const normed = norm(context, config.norm, layer.attentionNorm, x);
  const y = causalSelfAttention(context, config, layer.attention, normed, x, angles, sequences);
  spend(context, normed);
  return y;
};

/** The second half of a block: x + mlp(norm(x)). [B, T, C] → [B, T, C] */
export const mlpBranch = (context: Context, config: BlockConfig, layer: BlockParameters<Tensor>, x: Tensor): Tensor => {
  const normed = norm(context, config.norm, layer.mlpNorm, x);
  const y = mlp(context, config.mlp, layer.mlp, normed, x, config.dropout);
  spend(context, normed);
  return y;
};

/** A pre-norm transformer block: x + attention(norm(x)), then x + mlp(norm(x)). [B, T, C] → [B, T, C] */
export const block = (
  context: Context,
  config: BlockConfig,
  layer: BlockParameters<Tensor>,
  x: Tensor,
  angles: RotaryTable | null,
  sequences: Sequences,
): Tensor => {
  const middle = attentionBranch(context, config, layer, x, angles, sequences);
  const y = mlpBranch(context, config, layer, middle);
  spend(context, middle);
  return y;
};
