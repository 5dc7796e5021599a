/**
 * Names in a run's folder that are needed to read and write checkpoints. `folder-names.ts` of `train` has all names.
 */
import { basename, dirname, join, resolve } from "node:path";
import { isFile } from "./files.node.ts";

/** Name of the file with a run's configuration. A folder with this file is a run's folder. */
export const descriptionName = "run.json";

/** Name of the folder in an adapter's run that keeps the adapter's base model. */
export const keptBaseName = "base";

/**
 * Matches the names of folders with weights in a run's folder: the current weights, weights of an earlier step, or
 * weights that were set aside.
 */
const names = /^(?:best|averaged|checkpoint|rollback|base)(?:-(?:\d+|set-aside))*$/u;

export const isRunFolder = (folder: string): Promise<boolean> => isFile(join(folder, descriptionName));

/** Whether a folder with this name in a run's folder has weights. */
export const isPlaceName = (name: string): boolean => names.test(name);

/**
 * Whether `folder`, by its name, is one of the folders in which a run keeps weights. Writing there would destroy the
 * run's weights.
 */
export const isPlaceOfRun = async (folder: string): Promise<boolean> => {
  const path = resolve(folder);
  return isPlaceName(basename(path)) && (await isRunFolder(dirname(path)));
};
