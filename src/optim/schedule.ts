import { checkNumber, checkPlan } from "../core/checks/check-arguments.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import type { Extension, ScheduleConfig } from "./config.ts";

/**
 * The plan of a learning rate, besides the step.
 * @experimental
 */
export interface LearningRatePlan {
  /** The highest learning rate. */
  readonly learningRate: number;
  /** Steps of linear warm-up; 0: none. */
  readonly warmupSteps: number;
  /** Updates in all. */
  readonly steps: number;
  /** The learning rate after the warm-up. */
  readonly schedule: ScheduleConfig;
  /** In the order in which the run was extended; default: never. */
  readonly extensions?: readonly Extension[] | undefined;
}

/** The learning rate of a run without extensions. */
const plainRate = ({ learningRate, warmupSteps, steps, schedule }: LearningRatePlan, step: number): number => {
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

/** The learning rate of step `step` of a run that was extended `count` times by then, and was to end after `steps`. */
const rateAfter = (plan: LearningRatePlan, count: number, steps: number, step: number): number => {
  const { extensions = [], warmupSteps, learningRate } = plan;
  const extension = extensions[count - 1];
  // Nothing was trained before an extension at step 0.
  if (extension === undefined || extension.after === 0) return plainRate({ ...plan, steps }, step);
  const { after, planned, schedule } = extension;
  if (step < after) return rateAfter(plan, count - 1, planned, step);
  const before = rateAfter(plan, count - 1, planned, after - 1);
  const done = step - after;
  // Part of the way from the rate before to the new one.
  const way = done < warmupSteps ? (done + 1) / warmupSteps : 1;
  switch (schedule) {
    case "constant":
      return before;
    case "stretch":
      return before + way * (plainRate({ ...plan, steps }, step) - before);
    case "restart":
      return done < warmupSteps
        ? before + way * (learningRate - before)
        : plainRate({ ...plan, steps: steps - after }, done);
    default:
      throw new ConfigError({
        where: "extensions",
        must: "schedule must be stretch, restart or constant",
        got: show(schedule satisfies never),
      });
  }
};

/**
 * The learning rate of step `step` (0-based: the first update is step 0). Linear warm-up over `warmupSteps` from
 * learningRate/warmupSteps to learningRate, then constant, or down to minLearningRate at the last step: half a cosine
 * (Loshchilov & Hutter 2016, without restarts) or a straight line. A warm-up longer than the run just ends early.
 *
 * After an extension, by its `schedule`: `stretch` is the rate of a run of the new total from its beginning, `restart`
 * that of a new run of the added steps; both are reached in a straight line from the last rate, over `warmupSteps`.
 * `constant` is the last rate.
 * @experimental
 */
export const learningRateAt = (plan: LearningRatePlan, step: number): number => {
  checkPlan("learningRateAt: plan", plan);
  checkNumber("learningRateAt: step", step);
  return rateAfter(plan, plan.extensions?.length ?? 0, plan.steps, step);
};
