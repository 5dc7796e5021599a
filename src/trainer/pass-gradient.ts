/** The gradient of one pass of a step. */
import { backward, type Context, dropoutSource } from "../autograd/context.ts";
import { readTensor, type Tensor } from "../autograd/tensor.ts";
import type { Backend } from "../backend/backend.ts";
import type { TrainerConfig } from "../config/config.ts";
import { randomKey } from "../core/random.ts";
import type { HostArray } from "../core/tensors/dtype.ts";
import type { Batch } from "../data/batches.ts";
import { distilledLoss } from "../models/distill.ts";
import { forwardLoss, segmentsLoss } from "../models/forward.ts";
import type { Gradients } from "../models/gradients.ts";
import { baseLayers } from "../models/lora/layout.ts";
import type { Model } from "../models/model.ts";
import type { Range } from "../models/pieces.ts";
import { dropoutPlaces } from "../models/transformer.ts";
import { addLosses, type Losses, noLosses } from "./losses.ts";
import { slicesOf, tokensOfSlice } from "./slices.ts";

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

/** Dropout masks of a step are numbered by slice, pass and place. A step has fewer passes than this number. */
const mostPasses = 2 ** 16;

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
  const tokens = tokensOfSlice(config);

  /** The sum that is minimised, [1], and the sums that are reported, [1] or [2]. */
  const lossOf = (context: Context, slice: Batch): { readonly total: Tensor; readonly parts: Tensor } => {
    const { x, y, rows, time, segments } = slice;
    if (mix !== undefined) {
      return distilledLoss(context, model, teachers, mix, { ids: x, targets: y, rows, time, segments });
    }
    const total =
      segments === undefined
        ? forwardLoss(context, model, x, y, rows, time)
        : segmentsLoss(context, model, x, y, segments);
    return { total, parts: total };
  };

  return async ({ step, number, batch, targets }, gradients, enter, onComplete, on = backend) => {
    gradients.clear();
    const slices = slicesOf(batch, tokens);
    /** Adds the slice's gradient to `gradients`. Returns the slice's sums after all kernels of the pass are called. */
    const added = (slice: Batch, i: number): Promise<HostArray> => {
      // The slice's number determines its dropout masks, so each slice of a step has masks of its own.
      const first = (i * mostPasses + number) * places;
      return gradients.record(
        (context) => {
          enter("forward");
          const { total, parts } = lossOf({ ...context, recomputes: recomputeActivations === true }, slice);
          const reading = readTensor(on, parts);
          enter("backward");
          backward(context, total, 1 / targets);
          return reading;
        },
        drops ? dropoutSource(randomKey(seed, "dropout", step), first) : null,
        model.rounded()?.of,
        i === slices.length - 1 ? onComplete : undefined,
        on,
      );
    };
    const sums = await Promise.all(slices.map(added));
    return sums
      .map((ofSlice) => Array.from(ofSlice, (sum) => sum / targets))
      .reduce(addLosses, noLosses(mix !== undefined));
  };
};
