/** The gradient of one pass of a step. */
import { backward, dropoutSource } from "../autograd/context.ts";
import { readScalar } from "../autograd/tensor.ts";
import type { Backend } from "../backend/backend.ts";
import type { TrainerConfig } from "../config/config.ts";
import { randomKey } from "../core/random.ts";
import type { Batch } from "../data/batches.ts";
import { forwardLoss, segmentsLoss } from "../models/forward.ts";
import type { Gradients } from "../models/gradients.ts";
import { baseLayers } from "../models/lora/layout.ts";
import type { Model } from "../models/model.ts";
import type { Range } from "../models/pieces.ts";
import { dropoutPlaces } from "../models/transformer.ts";

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
 * Computes the gradient of a pass into `gradients`; returns the pass's part of the step's loss.
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
) => Promise<number>;

/** Creates the function that computes the gradient of a pass through `model`. */
export const passGradientOf = (backend: Backend, model: Model, config: TrainerConfig): PassGradient => {
  const { lora } = config;
  const { seed, recomputeActivations } = config.train;
  const drops = config.model.dropout > 0 || (lora?.dropout ?? 0) > 0;
  const places = dropoutPlaces(config.model, lora === undefined ? 0 : baseLayers(config.model).length);
  return async ({ step, number, batch, targets }, gradients, enter, onComplete, on = backend) => {
    const { x, y, rows, time, segments } = batch;
    gradients.clear();
    if (x.length === 0) return 0;
    // The pass's number determines its dropout masks, so each pass has masks of its own.
    const source = drops ? dropoutSource(randomKey(seed, "dropout", step), number * places) : null;
    const summed = await gradients.record(
      async (context) => {
        enter("forward");
        const recomputing = { ...context, recomputes: recomputeActivations === true };
        const total =
          segments === undefined
            ? forwardLoss(recomputing, model, x, y, rows, time) // [1]
            : segmentsLoss(recomputing, model, x, y, segments); // [1]
        const reading = readScalar(on, total);
        enter("backward");
        backward(context, total, 1 / targets);
        return reading;
      },
      source,
      model.rounded()?.of,
      onComplete,
      on,
    );
    return summed / targets;
  };
};
