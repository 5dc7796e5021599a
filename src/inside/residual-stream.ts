/** A forward pass that pauses after every branch. */
import { type Context, spend } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { layerOf } from "../models/layers.ts";
import { type Model, uploadIds } from "../models/model.ts";
import { attentionBranch, mlpBranch } from "../nn/block.ts";
import { anglesFor } from "../nn/layer-spec.ts";
import { embedding } from "../ops/embedding.ts";

/**
 * A stage of a forward pass: after the embedding, or after a branch of a block.
 * @experimental
 */
export type LensStage =
  | {
      /** The token and position vectors were added, and no block has run yet. */
      readonly kind: "embedding";
    }
  | {
      /** A branch of a block was added to the residual stream: the attention or the MLP. */
      readonly kind: "attention" | "mlp";
      /** Index of the block, from 0. */
      readonly layer: number;
    };

/** The residual stream at one stage of a forward pass. */
export interface StreamStage {
  readonly stage: LensStage;
  /** The residual stream before the branch, [1, T, C]. Null for the embedding. Valid until the next stage. */
  readonly before: Tensor | null;
  /**
   * The residual stream after the branch, [1, T, C]. The caller may change it: later branches read the changed values.
   * The tensor is valid until the stage after the next stage.
   */
  readonly after: Tensor;
}

/**
 * Yields the residual stream of one sequence, stage by stage. The kernel calls and the bits are the same as in
 * `forward`.
 * @param ids [T]
 */
export function* residualStream(
  context: Context,
  model: Model,
  ids: ArrayLike<number>,
): Generator<StreamStage, void, undefined> {
  const { config, parameters } = model;
  const { tokens, positions, blocks, angles } = parameters;
  let x = embedding(context, uploadIds(context, model, ids, 1, ids.length), tokens, positions, {
    scale: config.embeddingScale,
  });
  yield { stage: { kind: "embedding" }, before: null, after: x };
  for (const [layer, block] of blocks.entries()) {
    const spec = layerOf(config, layer);
    const sequences = { segments: null, cache: null };
    const middle = attentionBranch(context, config, spec, block, x, anglesFor(spec, angles), sequences);
    yield { stage: { kind: "attention", layer }, before: x, after: middle };
    spend(context, x);
    const y = mlpBranch(context, config, spec, block, middle);
    yield { stage: { kind: "mlp", layer }, before: middle, after: y };
    spend(context, middle);
    x = y;
  }
}
