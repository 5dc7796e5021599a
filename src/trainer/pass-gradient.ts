/** The gradient of one pass of a step. */
import { backward, type Context, dropoutSource } from "../autograd/context.ts";
import { readTensor, type Tensor } from "../autograd/tensor.ts";
import type { Backend } from "../backend/backend.ts";
import type { TrainerConfig } from "../config/config.ts";
import { randomKey } from "../core/random.ts";
import type { Batch } from "../data/batches.ts";
import { distilledLoss } from "../models/distill.ts";
import { forwardLoss, segmentsLoss } from "../models/forward.ts";
import type { Gradients } from "../models/gradients.ts";
import { baseLayers } from "../models/lora/layout.ts";
import type { Model } from "../models/model.ts";
import type { Range } from "../models/pieces.ts";
import { dropoutPlaces } from "../models/transformer.ts";
import { type Losses, noLosses } from "./losses.ts";

/** A pass of a step. */
export interface NumberedPass {
  readonly step: number;
  /** Number of the pass in the step. */
  readonly number: number;
  readonly batch: Batch;
  /** Number of targets of the whole step; the step's loss is the mean over them. */
  readonly targets: number;
}

/**
 * Computes the gradient of a pass into `gradients`; returns the pass's part of the step's losses.
 * @param enter called when the forward phase and the backward phase begin.
 * @param onComplete called with elements of `gradients` that are complete while other elements are still computed.
 * @param on the backend that computes: the trainer's backend, or another one in its place. All kernels are called
 * before the function waits for a result.
 */
export type PassGradient = (
  pass: NumberedPass,
  gradients: Gradients,
  enter: (phase: "forward" | "backward") => void,
  onComplete: ((range: Range) => void) | undefined,
  on?: Backend,
) => Promise<Losses>;

/**
 * Creates the function that computes the gradient of a pass through `model`.
 * @param teachers models that `model` learns from; none if it learns only from the text.
 */
export const passGradientOf = (
  backend: Backend,
  model: Model,
  config: TrainerConfig,
  teachers: readonly Model[],
): PassGradient => {
  const { lora } = config;
  const { seed, recomputeActivations, teacher: mix } = config.train;
  if ((mix === undefined) !== (teachers.length === 0)) throw new Error("train.teacher and teachers must come together");
  const drops = config.model.dropout > 0 || (lora?.dropout ?? 0) > 0;
  const places = dropoutPlaces(config.model, lora === undefined ? 0 : baseLayers(config.model).length);
  return async ({ step, number, batch, targets }, gradients, enter, onComplete, on = backend) => {
    const { x, y, rows, time, segments } = batch;
    gradients.clear();
    if (x.length === 0) return noLosses(teachers.length > 0);
    // The pass's number determines its dropout masks, so each pass has masks of its own.
    const source = drops ? dropoutSource(randomKey(seed, "dropout", step), number * places) : null;
    /** The sum that is minimised, [1], and the sums that are reported, [1] or [2]. */
    const lossOf = (context: Context): { readonly total: Tensor; readonly parts: Tensor } => {
      if (mix !== undefined) {
        return distilledLoss(context, model, teachers, mix, { ids: x, targets: y, rows, time, segments });
      }
      const total =
        segments === undefined
          ? forwardLoss(context, model, x, y, rows, time)
          : segmentsLoss(context, model, x, y, segments);
      return { total, parts: total };
    };
    const summed = await gradients.record(
      async (context) => {
        enter("forward");
        const recomputing = { ...context, recomputes: recomputeActivations === true };
        const { total, parts } = lossOf(recomputing);
        const reading = readTensor(on, parts);
        enter("backward");
        backward(context, total, 1 / targets);
        return reading;
      },
      source,
      model.rounded()?.of,
      onComplete,
      on,
    );
    return Array.from(summed, (sum) => sum / targets);
  };
};
