import { CheckpointError } from "./errors.ts";

/** The error for logits that give no probabilities. The model is at fault, not its input. */
export const logitsFault = (where: string, logit: number | undefined): CheckpointError =>
  new CheckpointError({
    where,
    must: "the model's logits must be finite numbers",
    got: `${logit}: the checkpoint is damaged, or its training diverged`,
    hint: "another checkpoint",
  });

/** The first logit that is NaN or infinite; undefined if all are finite. */
export const firstNonfinite = (logits: Float32Array): number | undefined => {
  let sum = 0;
  // 0 · x is 0 for a finite x, and NaN otherwise.
  for (let id = 0; id < logits.length; id++) sum += 0 * (logits[id] as number);
  return sum === 0 ? undefined : logits.find((logit) => !Number.isFinite(logit));
};
