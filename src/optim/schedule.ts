import { checkNumber, checkPlan } from "../core/checks/check-arguments.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import type { Extension, ScheduleConfig } from "./config.ts";

/**
 * The learning rate over the steps of a run.
 * @experimental
 */
export interface LearningRatePlan {
  /** Maximum learning rate. */
  readonly learningRate: number;
  /** Number of steps of linear warm-up. 0 means no warm-up. */
  readonly warmupSteps: number;
  /** Total number of updates. */
  readonly steps: number;
  /** Learning rate after the warm-up. */
  readonly schedule: ScheduleConfig;
  /** Extensions of the run, oldest first; default: none. */
  readonly extensions?: readonly Extension[] | undefined;
}

/** Learning rate of a run without extensions. */
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

/**
 * Learning rate of step `step`, if only the first `count` extensions count. `steps` is the total number of steps
 * planned after these extensions.
 */
const rateAfter = (plan: LearningRatePlan, count: number, steps: number, step: number): number => {
  const { extensions = [], warmupSteps, learningRate } = plan;
  const extension = extensions[count - 1];
  // Before an extension at step 0, nothing was trained, so there is no last rate.
  if (extension === undefined || extension.after === 0) return plainRate({ ...plan, steps }, step);
  const { after, planned, schedule } = extension;
  if (step < after) return rateAfter(plan, count - 1, planned, step);
  const before = rateAfter(plan, count - 1, planned, after - 1);
  const done = step - after;
  // Fraction of the line from the last rate to the new rate.
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
 * Learning rate of step `step` (0-based: the first update is step 0). First it rises linearly over `warmupSteps`, from
 * learningRate/warmupSteps to learningRate. After the warm-up, the rate follows the schedule. The rate stays constant,
 * or it falls to minLearningRate at the last step. A falling rate follows half a cosine (Loshchilov & Hutter 2016,
 * without restarts) or a straight line. If the warm-up is longer than the run, the run ends during the warm-up.
 * After an extension, the `schedule` of the extension decides. `stretch` gives the rate of a run that was planned with
 * the new total from its beginning. `restart` gives the rate of a new run of the added steps. `stretch` and `restart`
 * begin with a straight line from the last rate, over `warmupSteps` steps. `constant` keeps the last rate.
 * @experimental
 */
export const learningRateAt = (plan: LearningRatePlan, step: number): number => {
  checkPlan("learningRateAt: plan", plan);
  checkNumber("learningRateAt: step", step);
  return rateAfter(plan, plan.extensions?.length ?? 0, plan.steps, step);
};
