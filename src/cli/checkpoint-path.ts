import { stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { folderNames, type RunDescription, readRunDescription } from "../train/run-folder.node.ts";

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/** The checkpoint directory that the user means: what is named, or the `checkpoint` of the run that is named. */
export const checkpointPath = async (path: string): Promise<string> =>
  (await isFile(join(path, folderNames.description))) ? join(path, folderNames.checkpoint) : path;

/** What the run that wrote the checkpoint `path` says of itself; undefined where it lies in no run's folder. */
export const runOf = async (path: string): Promise<RunDescription | undefined> => {
  const folder = dirname(resolve(path));
  return (await isFile(join(folder, folderNames.description))) ? readRunDescription(folder) : undefined;
};
