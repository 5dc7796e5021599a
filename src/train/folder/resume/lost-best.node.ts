/** A run that goes on although somebody has deleted its best weights, or from a point before them. */
import { join } from "node:path";
import { readManifest } from "../../../io/owned-folder.node.ts";
import { hasCheckpoint, holdsAllFiles } from "../../../io/read-checkpoint.node.ts";
import type { ResumedState } from "../../run/run-input.ts";
import { folderNames } from "../folder-names.ts";

type OnNotice = (line: string) => void | Promise<void>;

/** A run's state, in which no evaluation is the best if the weights of that one are gone: so the next one's are kept. */
export const withoutLostBest = async (run: string, state: ResumedState, onNotice: OnNotice): Promise<ResumedState> => {
  const { progress } = state;
  if (progress.best === null) return state;
  const best = join(run, folderNames.best);
  const isThere = await hasCheckpoint(best);
  // Without a manifest nothing is known of its files.
  if (isThere && ((await readManifest(best)) === null || (await holdsAllFiles(best)))) return state;
  const what = isThere ? "not whole" : "gone";
  await onNotice(`${best}: the best weights are ${what}; those of the next evaluation take their place`);
  return { ...state, progress: { ...progress, best: null, evalsSinceBest: 0 } };
};

/** Whether the best weights in the run's folder are those of an evaluation after its state. */
export const hasLaterBest = async (root: string, { progress }: ResumedState): Promise<boolean> => {
  const step = (await readManifest(join(root, folderNames.best)))?.run?.step;
  return step !== undefined && step > (progress.best?.step ?? 0) && step > progress.step;
};
