/** A run that goes on although somebody has deleted its best weights. */
import { join } from "node:path";
import { hasCheckpoint } from "../../../io/read-checkpoint.node.ts";
import type { ResumedState } from "../../run/run-input.ts";
import { folderNames } from "../folder-names.ts";

/** A run's state, in which no evaluation is the best if the weights of that one are gone: so the next one's are kept. */
export const withoutLostBest = async (
  run: string,
  state: ResumedState,
  onNotice: (line: string) => void | Promise<void>,
): Promise<ResumedState> => {
  const { progress } = state;
  const best = join(run, folderNames.best);
  if (progress.best === null || (await hasCheckpoint(best))) return state;
  await onNotice(`${best}: the best weights are gone; those of the next evaluation take their place`);
  return { ...state, progress: { ...progress, best: null, evalsSinceBest: 0 } };
};
