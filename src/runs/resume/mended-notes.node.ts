/** Repairs the event log in a run's folder before the run is resumed. */

import { join } from "node:path";
import type { RunConfig } from "../../config/config.ts";
import { filterJsonLines } from "../../io/jsonl.node.ts";
import { folderNames } from "../folder-names.ts";
import type { Progress } from "../progress.ts";
import type { BrokenOff } from "../store.ts";
import { notesMender } from "./mended-notes.ts";

/**
 * Rewrites the event log of a run that resumes at `progress`.
 * @returns whether the best evaluation is in the log.
 */
export const mendNotes = async (
  path: string,
  root: string,
  progress: Progress,
  train: RunConfig["train"],
  broken: BrokenOff | undefined,
): Promise<boolean> => {
  const { keep, more, hasBest } = notesMender(progress, train, broken, join(path, folderNames.checkpoint));
  await filterJsonLines(join(root, folderNames.metrics), keep, more);
  return hasBest();
};
