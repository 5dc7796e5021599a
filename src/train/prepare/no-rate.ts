/** Detects a plan whose learning rate is 0. */
import type { TrainConfig } from "../../config/config.ts";
import { learningRateAt } from "../../optim/schedule.ts";

/**
 * A notice for a run whose learning rate is 0 in every step after `done`; undefined if a later step has a positive
 * rate.
 */
export const noRateNotice = (train: TrainConfig, done: number): string | undefined => {
  if (done >= train.steps) return undefined;
  for (let step = done; step < train.steps; step++) if (learningRateAt(train, step) > 0) return undefined;
  const which = train.steps - done === 1 ? "its only step" : "all its steps";
  return (
    `the learning rate is 0 in ${which}, so nothing is learned: the schedule ends at train.schedule.minLearningRate; ` +
    "try more steps, or --train.schedule.kind constant"
  );
};
