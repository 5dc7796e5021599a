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
  /** Its number in the step. */
  readonly number: number;
  readonly batch: Batch;
  /** Targets of the whole step, whose loss is their mean. */
  readonly targets: number;
}

/**
 * Computes the gradient of a pass into `gradients`; returns its part of the step's loss.
 * @param enter called when the forward part and the backward part begin.
 * @param onComplete called for elements of `gradients` that are complete while others are still computed.
 * @param on what it is computed on: `backend`, or what stands for it. All kernels are called before the first wait.
 */
export type PassGradient = (
  pass: NumberedPass,
  gradients: Gradients,
  enter: (phase: "forward" | "backward") => void,
  onComplete: ((range: Range) => void) | undefined,
  on?: Backend,
) => Promise<number>;

/** The gradient of passes through `model`. */
export const passGradientOf = (backend: Backend, model: Model, config: TrainerConfig): PassGradient => {
  const { lora } = config;
  const { seed, recomputeActivations } = config.train;
  const drops = config.model.dropout > 0 || (lora?.dropout ?? 0) > 0;
  const places = dropoutPlaces(config.model, lora === undefined ? 0 : baseLayers(config.model).length);
  return async ({ step, number, batch, targets }, gradients, enter, onComplete, on = backend) => {
    const { x, y, rows, time, segments } = batch;
    gradients.clear();
    if (x.length === 0) return 0;
    // Each pass drops at its own places, which follow from its number.
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
