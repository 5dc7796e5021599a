/** Decides which steps are skipped: steps whose loss or gradient is not finite, or explodes. */
import type { TrainConfig } from "../../config/config.ts";
import type { Progress } from "../../runs/progress.ts";
import type { FaultKind } from "../../runs/record/flight-record.ts";
import type { StepMeasure } from "../../trainer/trainer.ts";

/** The fault of a step. */
export interface Fault {
  /**
   * `nonfinite`: the loss or the gradient is infinite or NaN. The other kinds: the loss or the gradient is far too
   * large.
   */
  readonly kind: FaultKind;
  /** The condition that the step broke. */
  readonly must: string;
}

/** Weight of the old value in a running mean. A step's new value has the weight 1 − `decay`. */
const decay = 0.99;

/** Number of good steps before a gradient can count as exploded: the first gradients of a new model vary a lot. */
const settledSteps = 20;

/** Maximum number of skipped steps in a row. */
export const mostInARow = 10;

/** Finds the fault of the step after `progress`; undefined for a good step. */
export const faultOf = (
  { loss, teacherLoss = 0, gradNorm }: StepMeasure,
  { means }: Progress,
  { maxLossRatio, maxGradNormRatio }: Pick<TrainConfig, "maxLossRatio" | "maxGradNormRatio">,
  vocabSize: number,
): Fault | undefined => {
  if (![loss, teacherLoss, gradNorm].every(Number.isFinite)) {
    return { kind: "nonfinite", must: "loss and gradient must stay finite" };
  }
  const usualLoss = Math.max(Math.log(vocabSize), means.loss);
  // The first loss has no limit: a model with wide initial weights does worse than chance.
  if (maxLossRatio > 0 && means.count > 0 && loss > maxLossRatio * usualLoss) {
    return {
      kind: "loss",
      must: `the loss must not exceed ${maxLossRatio} × ${usualLoss.toFixed(2)} (train.maxLossRatio)`,
    };
  }
  if (maxGradNormRatio > 0 && means.count >= settledSteps && gradNorm > maxGradNormRatio * means.gradNorm) {
    return {
      kind: "gradient",
      must: `the gradient norm must not exceed ${maxGradNormRatio} × its mean ${means.gradNorm.toPrecision(3)} (train.maxGradNormRatio)`,
    };
  }
  return undefined;
};

/** Progress after a good step. */
export const withStep = (progress: Progress, { loss, gradNorm }: StepMeasure): Progress => {
  const { means } = progress;
  const mean = (before: number, now: number): number => (means.count === 0 ? now : decay * before + (1 - decay) * now);
  return {
    ...progress,
    step: progress.step + 1,
    lossSum: progress.lossSum + loss,
    lossCount: progress.lossCount + 1,
    leftOutInARow: 0,
    means: { count: means.count + 1, loss: mean(means.loss, loss), gradNorm: mean(means.gradNorm, gradNorm) },
  };
};

/** Progress after a skipped step. */
export const withoutStep = (progress: Progress): Progress => ({
  ...progress,
  step: progress.step + 1,
  leftOut: progress.leftOut + 1,
  leftOutInARow: progress.leftOutInARow + 1,
});
