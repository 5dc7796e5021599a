/** Decides which steps are left out: steps whose loss or gradient is not finite, or explodes. */
import type { TrainConfig } from "../../config/config.ts";
import type { Progress } from "../../runs/progress.ts";
import type { FaultKind } from "../../runs/record/flight-record.ts";
import type { StepMeasure } from "../../trainer/trainer.ts";

/** The fault of a step. */
export interface Fault {
  /** Not finite, or the loss or the gradient exploded. */
  readonly kind: FaultKind;
  /** The condition that was broken. */
  readonly must: string;
}

/** Share that a running mean keeps of itself at each step. */
const decay = 0.99;

/** Steps that must count before a gradient can explode: a new model's first gradients differ much. */
const settledSteps = 20;

/** Most steps in a row that may be left out. */
export const mostInARow = 10;

/** The fault of the step after `progress`; undefined if there is none. */
export const faultOf = (
  { loss, gradNorm }: StepMeasure,
  { means }: Progress,
  { maxLossRatio, maxGradNormRatio }: Pick<TrainConfig, "maxLossRatio" | "maxGradNormRatio">,
  vocabSize: number,
): Fault | undefined => {
  if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) {
    return { kind: "nonfinite", must: "loss and gradient must stay finite" };
  }
  const usualLoss = Math.max(Math.log(vocabSize), means.loss);
  // The first loss may be anything: a model with wide initial weights does worse than chance.
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

/** The progress after a step that counts. */
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

/** The progress after a step that was left out. */
export const withoutStep = (progress: Progress): Progress => ({
  ...progress,
  step: progress.step + 1,
  leftOut: progress.leftOut + 1,
  leftOutInARow: progress.leftOutInARow + 1,
});
