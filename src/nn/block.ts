import { type Context, spend } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { addBranch } from "../ops/add-branch.ts";
import type { RotaryTable } from "../ops/rotary.ts";
import {
  type AttentionConfig,
  type AttentionParameters,
  causalSelfAttention,
  declareAttention,
  type Sequences,
} from "./causal-self-attention.ts";
import type { LayerSpec } from "./layer-spec.ts";
import type { BranchEnd } from "./linear.ts";
import { declareMlp, type MlpParameters, mlp } from "./mlp.ts";
import { declareNorm, type NormParameters, norm } from "./norm.ts";
import type { Declare } from "./parameters.ts";

/** The part of the configuration that is the same for all blocks of a model. */
export interface BlockConfig extends AttentionConfig {
  readonly bias: AttentionConfig["bias"] & { readonly mlp: boolean };
  readonly initStd: number;
  readonly zeroProjections: boolean;
}

export interface BlockParameters<P> {
  /** Norm before attention. Null if the block has no such norm. */
  readonly attentionNorm: NormParameters<P> | null;
  /** Causal self-attention. */
  readonly attention: AttentionParameters<P>;
  /** Norm after attention. Null if the block has no such norm. */
  readonly attentionPostNorm: NormParameters<P> | null;
  /** Norm before the MLP. Null if the block has no such norm. */
  readonly mlpNorm: NormParameters<P> | null;
  /** The feed-forward branch. */
  readonly mlp: MlpParameters<P>;
  /** Norm after the MLP. Null if the block has no such norm. */
  readonly mlpPostNorm: NormParameters<P> | null;
}

/** Declares a block's parameters, in the order of a forward pass. */
export const declareBlock = <P>(
  declare: Declare<P>,
  name: string,
  config: BlockConfig,
  spec: LayerSpec,
): BlockParameters<P> => {
  const { nEmbd, bias, initStd: std, zeroProjections } = config;
  const init = { kind: "normal", std } as const;
  const zeros = { kind: "zeros" } as const;
  const [before, after] = [spec.norms !== "after", spec.norms !== "before"];
  // A branch ends with its projection, or with a norm after the projection. Only the last layer may start at zero: if
  // both layers started at zero, neither would ever learn.
  const projectionInit = zeroProjections && !after ? zeros : init;
  const normOf = (branch: string): NormParameters<P> | null =>
    before ? declareNorm(declare, `${name}.${branch}Norm`, config.norm, nEmbd) : null;
  const postNormOf = (branch: string): NormParameters<P> | null =>
    after
      ? declareNorm(declare, `${name}.${branch}PostNorm`, config.norm, nEmbd, zeroProjections ? zeros : undefined)
      : null;
  return {
    attentionNorm: normOf("attention"),
    attention: declareAttention(declare, `${name}.attention`, config, spec, { init, projectionInit }),
    attentionPostNorm: postNormOf("attention"),
    mlpNorm: normOf("mlp"),
    mlp: declareMlp(declare, `${name}.mlp`, spec.mlp, { nEmbd, bias: bias.mlp, init, projectionInit }),
    mlpPostNorm: postNormOf("mlp"),
  };
};

/**
 * Number of dropout places in a block. The places are the weights of attention, the result of attention, and the result
 * of the MLP.
 */
export const dropoutPlacesOfBlock = 3;

/** Input of a branch: x normalised, or x itself. If the input is not x, release it with `spend`. */
export const branchInput = (
  context: Context,
  config: BlockConfig,
  layer: NormParameters<Tensor> | null,
  x: Tensor,
): Tensor => (layer === null ? x : norm(context, config.norm, layer, x));

/**
 * x + post(f(before(x))). @param branch computes f. If `post` is null, the branch itself adds its result to
 * `end.residual`.
 */
const withNorms = (
  context: Context,
  config: BlockConfig,
  x: Tensor,
  before: NormParameters<Tensor> | null,
  post: NormParameters<Tensor> | null,
  branch: (input: Tensor, end: BranchEnd) => Tensor,
): Tensor => {
  const { dropout } = config;
  const input = branchInput(context, config, before, x);
  const y = branch(input, { residual: post === null ? x : null, dropout });
  if (input !== x) spend(context, input);
  if (post === null) return y;
  // The result has the type of the residual stream, because rounding would not save time.
  const normed = norm(context, config.norm, post, y, x.storage.dtype);
  spend(context, y);
  const sum = addBranch(context, normed, x, dropout);
  spend(context, normed);
  return sum;
};

/** First half of a block: x + attention(x), with its norms. [B, T, C] → [B, T, C] */
export const attentionBranch = (
  context: Context,
  config: BlockConfig,
  spec: LayerSpec,
  layer: BlockParameters<Tensor>,
  x: Tensor,
  angles: RotaryTable | null,
  sequences: Sequences,
): Tensor =>
  withNorms(context, config, x, layer.attentionNorm, layer.attentionPostNorm, (input, end) =>
    causalSelfAttention(context, config, spec, layer.attention, input, end, angles, sequences),
  );

/** Second half of a block: x + mlp(x), with its norms. [B, T, C] → [B, T, C] */
export const mlpBranch = (
  context: Context,
  config: BlockConfig,
  spec: LayerSpec,
  layer: BlockParameters<Tensor>,
  x: Tensor,
): Tensor =>
  withNorms(context, config, x, layer.mlpNorm, layer.mlpPostNorm, (input, end) =>
    mlp(context, spec.mlp, layer.mlp, input, end),
  );

/** A transformer block: attention, then the MLP, each added to the residual stream. [B, T, C] → [B, T, C] */
export const block = (
  context: Context,
  config: BlockConfig,
  spec: LayerSpec,
  layer: BlockParameters<Tensor>,
  x: Tensor,
  angles: RotaryTable | null,
  sequences: Sequences,
): Tensor => {
  const middle = attentionBranch(context, config, spec, layer, x, angles, sequences);
  const y = mlpBranch(context, config, spec, layer, middle);
  spend(context, middle);
  return y;
};
