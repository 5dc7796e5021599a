import { z } from "zod";
import type { TrainConfig } from "../config/config.ts";
import { isExtendedAt, isPlannedEnd } from "../config/extend.ts";
import { hasRisen } from "./rise.ts";

/**
 * Position of a run. Together with weights and moments, the position determines the next step and the next evaluation.
 */
export const progressSchema = z.strictObject({
  /** Number of updates done, including skipped steps. */
  step: z.int().min(0),
  /** Sum and count of the step losses since the last evaluation. */
  lossSum: z.number(),
  lossCount: z.int().min(0),
  /** The lowest validation loss and its step; null before the first evaluation. */
  best: z.strictObject({ step: z.int().min(0), valLoss: z.number() }).nullable(),
  /** Number of evaluations since the best evaluation. */
  evalsSinceBest: z.int().min(0),
  // The following fields have defaults, because checkpoints of earlier versions lack them.
  /**
   * Numbers of steps that were skipped because of their loss or gradient. `leftOut` counts all skipped steps since the
   * last evaluation. `leftOutInARow` counts the skipped steps in a row up to this step.
   */
  leftOut: z.int().min(0).default(0),
  leftOutInARow: z.int().min(0).default(0),
  /** Running means over the steps that were not skipped, and the number of these steps. */
  means: z
    .strictObject({ count: z.int().min(0), loss: z.number(), gradNorm: z.number() })
    .default({ count: 0, loss: 0, gradNorm: 0 }),
  /** Whether an `overfitting` event has been sent. */
  overfitting: z.boolean().default(false),
  /** The lowest validation loss of the averaged weights and its step; absent before their first evaluation. */
  bestAverage: z.strictObject({ step: z.int().min(0), valLoss: z.number() }).optional(),
});
export type Progress = z.infer<typeof progressSchema>;

/**
 * Whether the evaluation of this step is still missing, because the run was stopped during it. Every evaluation resets
 * the step counts and comes before the step's checkpoint.
 */
export const isEvaluationDue = (
  { step, lossCount, leftOut }: Progress,
  train: Pick<TrainConfig, "steps" | "extensions" | "evalInterval">,
): boolean => lossCount + leftOut > 0 && (step % train.evalInterval === 0 || isPlannedEnd(train, step));

/** Whether too many evaluations in a row did not lower the loss. When a run is extended, the count starts again. */
export const isOutOfPatience = (
  { step, evalsSinceBest }: Progress,
  train: Pick<TrainConfig, "steps" | "extensions" | "patience">,
): boolean =>
  train.patience > 0 && evalsSinceBest >= train.patience && step < train.steps && !isExtendedAt(train, step);

/** The progress before the next step. */
export const beforeStep = (progress: Progress, train: Pick<TrainConfig, "steps" | "extensions">): Progress =>
  isExtendedAt(train, progress.step) ? { ...progress, evalsSinceBest: 0 } : progress;

export const freshProgress: Progress = progressSchema.parse({
  step: 0,
  lossSum: 0,
  lossCount: 0,
  best: null,
  evalsSinceBest: 0,
});

/**
 * Whether the validation loss has clearly begun to rise. `valLoss` is the loss of the latest evaluation. If a run never
 * became better than its initial weights, it is not overfitting: its learning rate is too high.
 */
export const hasTurned = ({ best, evalsSinceBest }: Progress, valLoss: number): boolean =>
  best !== null && best.step > 0 && hasRisen(valLoss, best.valLoss, evalsSinceBest);
