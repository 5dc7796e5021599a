/**
 * Number of steps to propose for a run that has ended. This file must import only types: the studio's page bundles it.
 */
import type { TrainConfig } from "./config.ts";

/**
 * Total number of steps to propose for training a run beyond `steps`: three times as many. A run with patience gets at
 * most the number of steps that patience is sure to allow. At first the learning rate rises, and the loss rises with
 * it, so a longer run would stop early, before the rate has fallen again.
 */
export const longerSteps = (
  { patience, evalInterval }: Pick<TrainConfig, "patience" | "evalInterval">,
  steps: number,
): number => {
  const threefold = 3 * steps;
  return patience === 0 ? threefold : Math.min(threefold, (Math.floor(steps / evalInterval) + patience) * evalInterval);
};

/**
 * Number of steps since the last extension if these steps brought no better weights, so that more steps would hardly
 * help. The result is 0 if they brought better weights, or if the run was never extended or never evaluated.
 * @param step number of updates done.
 * @param bestStep step of the best weights.
 */
export const stepsInVain = (
  { extensions = [] }: Pick<TrainConfig, "extensions">,
  step: number,
  bestStep: number | null | undefined,
): number => {
  const last = extensions.at(-1);
  if (last === undefined || bestStep === null || bestStep === undefined || bestStep > last.after) return 0;
  return Math.max(0, step - last.after);
};

/**
 * What resuming a stopped run does. A run that was stopped after its last step lacks only its last evaluation or its
 * last sample.
 * @param step number of updates done.
 */
export const resumePurpose = (step: number, steps: number): string =>
  step < steps ? "continue to the planned end" : "all steps are done: write the last evaluation and sample";
