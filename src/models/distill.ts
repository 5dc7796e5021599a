/** The loss of a model that learns from other models (teachers) and from a text (ops/distillation.ts). */
import { type Context, spend } from "../autograd/context.ts";
import { type DistillationLoss, type DistillationMix, distillation } from "../ops/distillation.ts";
import { createSegments } from "../ops/segments.ts";
import { type Model, uploadIds, uploadSegments } from "./model.ts";
import { transformer } from "./transformer.ts";

/** A pass of a model with teachers. */
export interface DistilledPass {
  readonly ids: Int32Array;
  /** One per id; −1 skips a position. */
  readonly targets: Int32Array;
  readonly rows: number;
  readonly time: number;
  /** Lengths of concatenated sequences that do not see each other; absent if each row is a sequence. */
  readonly segments?: readonly number[] | undefined;
}

/**
 * Computes the loss of `model` on one pass. The teachers see the same tokens as the model. They record nothing, drop
 * nothing and do not change.
 * @param teachers at least one, each with the model's vocabulary size and at least its context length.
 */
export const distilledLoss = (
  context: Context,
  model: Model,
  teachers: readonly Model[],
  mix: DistillationMix,
  { ids, targets, rows, time, segments: lengths }: DistilledPass,
): DistillationLoss => {
  const { memory } = context;
  const segments =
    lengths === undefined
      ? null
      : createSegments(
          memory,
          lengths.map((length) => ({ length })),
        );
  const uploaded =
    segments === null ? uploadIds(context, model, ids, rows, time) : uploadSegments(context, model, ids, segments);
  const outputs = teachers.map(({ config, parameters, rounded }) => {
    const own = { ...context, tape: null, dropout: null, recomputes: false, rounded: rounded()?.of ?? null };
    const hidden = transformer(own, config, parameters, uploaded, { segments }); // [B, T, C of the teacher]
    return { context: own, hidden, head: parameters.head };
  });
  const hidden = transformer(context, model.config, model.parameters, uploaded, { segments }); // [B, T, C]
  const answers = memory.upload(targets, hidden.shape.slice(0, -1));
  const loss = distillation(context, hidden, model.parameters.head, answers, outputs, mix);
  spend(context, hidden);
  return loss;
};
