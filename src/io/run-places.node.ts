/** A run's folder, as those know it who read and write checkpoints; `folder-names.ts` of `train` has all that is in it. */
import { basename, dirname, join, resolve } from "node:path";
import { isFile } from "./files.node.ts";

/** The file with a run's configuration: it makes a folder a run's. */
export const descriptionName = "run.json";

/** The folder in an adapter's run that keeps the model that the adapter is for. */
export const keptBaseName = "base";

/** Names of a run's folders with weights: now, of an earlier step, or set aside. */
const names = /^(?:best|checkpoint|rollback|base)(?:-(?:\d+|set-aside))*$/u;

export const isRunFolder = (folder: string): Promise<boolean> => isFile(join(folder, descriptionName));

/** Whether a folder of this name in a run's folder has weights. */
export const isPlaceName = (name: string): boolean => names.test(name);

/** Whether `folder` is one of those that a run keeps weights in, by its name: whoever writes there takes them from the run. */
export const isPlaceOfRun = async (folder: string): Promise<boolean> => {
  const path = resolve(folder);
  return isPlaceName(basename(path)) && (await isRunFolder(dirname(path)));
};
