import { z } from "zod";

/** Where a run stands, besides weights and moments: all that the next step and the next evaluation depend on. */
export const progressSchema = z.strictObject({
  /** Updates done, those that were left out among them. */
  step: z.int().min(0),
  /** Sum and number of the step losses since the last evaluation. */
  lossSum: z.number(),
  lossCount: z.int().min(0),
  /** The lowest validation loss and where it was; null before the first evaluation. */
  best: z.strictObject({ step: z.int().min(0), valLoss: z.number() }).nullable(),
  /** Evaluations since then. */
  evalsSinceBest: z.int().min(0),
  // From here on with defaults: checkpoints of before have none of them.
  /** Updates left out since the last evaluation, and in a row up to this one, since a loss or gradient was bad. */
  leftOut: z.int().min(0).default(0),
  leftOutInARow: z.int().min(0).default(0),
  /** Running means over the steps that counted, and the number of these. */
  means: z
    .strictObject({ count: z.int().min(0), loss: z.number(), gradNorm: z.number() })
    .default({ count: 0, loss: 0, gradNorm: 0 }),
  /** Whether it has been told that the validation loss has turned. */
  overfitting: z.boolean().default(false),
});
export type Progress = z.infer<typeof progressSchema>;

/**
 * Whether the evaluation of this step is still to be made: the run was stopped while it was measured. Every one that
 * is made clears the counts of steps, and it goes before the step's checkpoint.
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

/** Whether the validation loss has clearly turned: it was `valLoss` at the evaluation after which this is the progress. */
export const hasTurned = ({ best, evalsSinceBest }: Progress, valLoss: number): boolean =>
  best !== null && ((evalsSinceBest >= 2 && valLoss > 1.01 * best.valLoss) || valLoss > 1.05 * best.valLoss);
