import { z } from "zod";

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
  { steps, evalInterval }: { readonly steps: number; readonly evalInterval: number },
): boolean => lossCount + leftOut > 0 && (step % evalInterval === 0 || step === steps);

export const freshProgress: Progress = progressSchema.parse({
  step: 0,
  lossSum: 0,
  lossCount: 0,
  best: null,
  evalsSinceBest: 0,
});

/**
 * Whether the validation loss has clearly begun to rise: it was `valLoss` at the evaluation that led to this progress.
 */
export const hasTurned = ({ best, evalsSinceBest }: Progress, valLoss: number): boolean =>
  best !== null && ((evalsSinceBest >= 2 && valLoss > 1.01 * best.valLoss) || valLoss > 1.05 * best.valLoss);
