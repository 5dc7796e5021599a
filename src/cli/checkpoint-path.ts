import { stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { CheckpointError } from "../core/errors.ts";
import { hasCheckpoint } from "../io/checkpoint.node.ts";
import { folderNames } from "../train/folder/folder-names.ts";
import type { RunDescription } from "../train/folder/resume.node.ts";

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/**
 * The checkpoint directory that the user means: what is named, or the `checkpoint` of the run that is named.
 * @throws CheckpointError for a run that has none yet.
 */
export const checkpointPath = async (path: string): Promise<string> => {
  if (!(await isFile(join(path, folderNames.description)))) return path;
  const checkpoint = join(path, folderNames.checkpoint);
  if (await hasCheckpoint(checkpoint)) return checkpoint;
  throw new CheckpointError({
    where: path,
    must: "the run must have a checkpoint",
    got: "none yet",
    hint: `foretoken train --resume ${path}`,
  });
};

/** What the run that wrote the checkpoint `path` says of itself; undefined where it lies in no run's folder. */
export const runOf = async (path: string): Promise<RunDescription | undefined> => {
  const folder = dirname(resolve(path));
  if (!(await isFile(join(folder, folderNames.description)))) return undefined;
  // Not before there is one to read: `generate`, which needs none, begins sooner without.
  const { readRunDescription } = await import("../train/folder/resume.node.ts");
  return readRunDescription(folder);
};
