/**
 * File and folder names in a run's folder that are needed to read and write checkpoints. `folder-names.ts` has all
 * names.
 */
import { basename, dirname, join, resolve } from "node:path";
import { isFile } from "../core/system/regular-file.node.ts";

/** Name of the file with a run's configuration. A folder with this file is a run's folder. */
export const descriptionName = "run.json";

/** Name of the folder that keeps an adapter's base model, in the folder of the adapter's run. */
export const keptBaseName = "base";

/**
 * Matches the names of a run's folders with weights: the current weights, weights of an earlier step, or weights that
 * were set aside.
 */
const names = /^(?:best|averaged|checkpoint|rollback|base)(?:-(?:\d+|set-aside))*$/u;

export const isRunFolder = (folder: string): Promise<boolean> => isFile(join(folder, descriptionName));

/** Whether a folder with this name in a run's folder has weights. */
export const isPlaceName = (name: string): boolean => names.test(name);

/**
 * Whether the name of `folder` is one of the names under which a run keeps weights. Writing to such a folder would
 * destroy the run's weights.
 */
export const isPlaceOfRun = async (folder: string): Promise<boolean> => {
  const path = resolve(folder);
  return isPlaceName(basename(path)) && (await isRunFolder(dirname(path)));
};
