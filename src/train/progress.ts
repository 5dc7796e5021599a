import { z } from "zod";

/** Where a run stands, besides weights and moments: all that the next step and the next evaluation depend on. */
export const progressSchema = z.strictObject({
  /** Updates done. */
  step: z.int().min(0),
  /** Sum and number of the step losses since the last evaluation. */
  lossSum: z.number(),
  lossCount: z.int().min(0),
  /** The lowest validation loss and where it was; null before the first evaluation. */
  best: z.strictObject({ step: z.int().min(0), valLoss: z.number() }).nullable(),
  /** Evaluations since then. */
  evalsSinceBest: z.int().min(0),
});
export type Progress = z.infer<typeof progressSchema>;

/**
 * Whether the evaluation of this step is still to be made: the run was stopped while it was measured. Every one that
 * is made clears the sum of losses, and it goes before the step's checkpoint.
 */
export const isEvaluationDue = (
  { step, lossCount }: Progress,
  { steps, evalInterval }: { readonly steps: number; readonly evalInterval: number },
): boolean => lossCount > 0 && (step % evalInterval === 0 || step === steps);

export const freshProgress: Progress = { step: 0, lossSum: 0, lossCount: 0, best: null, evalsSinceBest: 0 };
