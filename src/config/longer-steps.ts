/** How many steps to propose for a run that has ended. Types alone are imported here: the studio's page bundles this file. */
import type { TrainConfig } from "./config.ts";

/**
 * The number of all steps to propose to who wants to train longer than `steps`: three times as many. A run with patience gets no
 * more than its patience is sure to let it take: the learning rate rises first, and with it the loss, so that many added steps
 * would stop for want of patience before the rate has fallen again.
 */
export const longerSteps = (
  { patience, evalInterval }: Pick<TrainConfig, "patience" | "evalInterval">,
  steps: number,
): number => {
  const threefold = 3 * steps;
  return patience === 0 ? threefold : Math.min(threefold, (Math.floor(steps / evalInterval) + patience) * evalInterval);
};

/**
 * Steps that a run was given when it was last made longer, where they brought no better weights: more of them would hardly help.
 * 0 where they did, and for a run that was never made longer or never measured.
 * @param step updates done.
 * @param bestStep the step of the best weights.
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
