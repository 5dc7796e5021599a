/** A run that goes on although somebody has deleted its best weights. */
import { join } from "node:path";
import { readManifest } from "../../../io/owned-folder.node.ts";
import { hasCheckpoint, holdsAllFiles } from "../../../io/read-checkpoint.node.ts";
import type { Progress } from "../../run/progress.ts";
import type { ResumedState } from "../../run/run-input.ts";
import { folderNames } from "../folder-names.ts";
import { asidesIn } from "../write/best-aside.node.ts";

/** What is wrong with the best weights of a state; undefined: nothing, or they can be had again. */
const faultOf = async (run: string, { best, step }: Progress): Promise<string | undefined> => {
  if (best === null) return undefined;
  // Weights of later were set aside: those before were replaced by them, and come again when the run is as far again.
  const explains = (found: number | undefined): boolean => found === best.step || (found ?? 0) > step;
  const path = join(run, folderNames.best);
  if ((await asidesIn(run)).some(({ manifest }) => explains(manifest.run?.step))) return undefined;
  if (!(await hasCheckpoint(path))) return "gone";
  const manifest = await readManifest(path);
  // Without a manifest nothing is known of its files.
  if (manifest === null) return undefined;
  if (!(await holdsAllFiles(path))) return "not whole";
  return manifest.run === null || explains(manifest.run.step) ? undefined : `those of step ${manifest.run.step}`;
};

/** A run's state, in which no evaluation is the best if the weights of that one are gone: so the next one's are kept. */
export const withoutLostBest = async (
  run: string,
  state: ResumedState,
  onNotice: (line: string) => void | Promise<void>,
): Promise<ResumedState> => {
  const { progress } = state;
  const fault = await faultOf(run, progress);
  if (fault === undefined) return state;
  const best = join(run, folderNames.best);
  await onNotice(`${best}: the best weights are ${fault}; those of the next evaluation take their place`);
  return { ...state, progress: { ...progress, best: null, evalsSinceBest: 0 } };
};
