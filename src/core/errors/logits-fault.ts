import { CheckpointError } from "./errors.ts";

/** The error for logits that give no probabilities. The model is at fault, not its input. */
export const logitsFault = (where: string, logit: number | undefined): CheckpointError =>
  new CheckpointError({
    where,
    must: "the model's logits must be finite numbers",
    got: `${logit}: the checkpoint is damaged, or its training diverged`,
    hint: "another checkpoint",
  });
