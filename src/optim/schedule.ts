import { checkNumber, checkPlan } from "../core/check-arguments.ts";
import { ConfigError } from "../core/errors.ts";
import { show } from "../core/show.ts";
import type { ScheduleConfig } from "./config.ts";

/** The plan of a learning rate, besides the step. */
export interface LearningRatePlan {
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly steps: number;
  readonly schedule: ScheduleConfig;
}

/**
 * The learning rate of step `step` (0-based: the first update is step 0). Linear warm-up over `warmupSteps` from
 * learningRate/warmupSteps to learningRate, then constant, or down to minLearningRate at the last step: half a cosine
 * (Loshchilov & Hutter 2016, without restarts) or a straight line. A warm-up longer than the run just ends early.
 */
export const learningRateAt = (plan: LearningRatePlan, step: number): number => {
  checkPlan("learningRateAt: plan", plan);
  checkNumber("learningRateAt: step", step);
  const { learningRate, warmupSteps, steps, schedule } = plan;
  if (step < warmupSteps) return (learningRate * (step + 1)) / warmupSteps;
  switch (schedule.kind) {
    case "constant":
      return learningRate;
    case "cosine":
    case "linear": {
      const span = steps - 1 - warmupSteps;
      const progress = span <= 0 ? 1 : Math.min(1, (step - warmupSteps) / span);
      const left = schedule.kind === "cosine" ? 0.5 * (1 + Math.cos(Math.PI * progress)) : 1 - progress;
      return schedule.minLearningRate + left * (learningRate - schedule.minLearningRate);
    }
    default:
      throw new ConfigError({
        where: "schedule.kind",
        must: "must be constant, cosine or linear",
        got: show(schedule satisfies never),
      });
  }
};
