import { z } from "zod";
import type { TrainConfig } from "../config/config.ts";
import { isExtendedAt, isPlannedEnd } from "../config/extend.ts";
import { hasRisen } from "./rise.ts";

/** Position of a run, besides weights and moments: everything that the next step and the next evaluation depend on. */
export const progressSchema = z.strictObject({
  /** Updates done, including steps that were left out. */
  step: z.int().min(0),
  /** Sum and number of the step losses since the last evaluation. */
  lossSum: z.number(),
  lossCount: z.int().min(0),
  /** The lowest validation loss and its step; null before the first evaluation. */
  best: z.strictObject({ step: z.int().min(0), valLoss: z.number() }).nullable(),
  /** Evaluations since then. */
  evalsSinceBest: z.int().min(0),
  // The fields from here on have defaults: earlier checkpoints lack them.
  /** Steps left out since the last evaluation, and in a row up to this one, since a loss or gradient was not finite. */
  leftOut: z.int().min(0).default(0),
  leftOutInARow: z.int().min(0).default(0),
  /** Running means over the steps that counted, and their number. */
  means: z
    .strictObject({ count: z.int().min(0), loss: z.number(), gradNorm: z.number() })
    .default({ count: 0, loss: 0, gradNorm: 0 }),
  /** Whether an `overfitting` event has been sent. */
  overfitting: z.boolean().default(false),
});
export type Progress = z.infer<typeof progressSchema>;

/**
 * Whether the evaluation of this step is still due: the run was stopped during it. Every evaluation clears the counts
 * of steps, and comes before the step's checkpoint.
 */
export const isEvaluationDue = (
  { step, lossCount, leftOut }: Progress,
  train: Pick<TrainConfig, "steps" | "extensions" | "evalInterval">,
): boolean => lossCount + leftOut > 0 && (step % train.evalInterval === 0 || isPlannedEnd(train, step));

/** Whether there were too many evaluations without a better loss. A run that is extended is given patience anew. */
export const isOutOfPatience = (
  { step, evalsSinceBest }: Progress,
  train: Pick<TrainConfig, "steps" | "extensions" | "patience">,
): boolean =>
  train.patience > 0 && evalsSinceBest >= train.patience && step < train.steps && !isExtendedAt(train, step);

/** The progress that the next step begins with. */
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
 * Whether the validation loss has clearly begun to rise: it was `valLoss` at the evaluation that led to this progress. Of a run
 * whose steps were never better than the weights that it began with, nothing was learned by heart: its rate is too high.
 */
export const hasTurned = ({ best, evalsSinceBest }: Progress, valLoss: number): boolean =>
  best !== null && best.step > 0 && hasRisen(valLoss, best.valLoss, evalsSinceBest);
