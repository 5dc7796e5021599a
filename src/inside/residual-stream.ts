/** A forward pass that stops after every branch. */
import { type Context, spend } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { layerOf } from "../models/layers.ts";
import { type Model, uploadIds } from "../models/model.ts";
import { attentionBranch, mlpBranch } from "../nn/block.ts";
import { anglesFor } from "../nn/layer-spec.ts";
import { embedding } from "../ops/embedding.ts";

/**
 * A place in a pass, after the token and position vectors or after a branch of a block.
 * @experimental
 */
export type LensStage =
  | {
      /** The vectors of tokens and positions were added: no block has run. */
      readonly kind: "embedding";
    }
  | {
      /** A branch of a block was added: its attention, or its MLP. */
      readonly kind: "attention" | "mlp";
      /** The block, from 0. */
      readonly layer: number;
    };

/** The residual stream at a place. */
export interface StreamStage {
  readonly stage: LensStage;
  /** [1, T, C], before the branch; null: nothing comes before. Valid until the next stage. */
  readonly before: Tensor | null;
  /** [1, T, C], after it. It is the caller's to change: later branches read it. Valid until the stage after the next. */
  readonly after: Tensor;
}

/**
 * The residual stream of one sequence, place by place, with the calls and so the bits of `forward`.
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
