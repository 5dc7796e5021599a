/** Folders that a saved model may replace. */
import { readdir } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, resolve } from "node:path";
import { CheckpointError } from "../../core/errors/errors.ts";
import { manifestName } from "../../io/manifest.ts";
import { occupantOf, readManifest } from "../../io/owned-folder.node.ts";
import { isPlaceOfRun } from "../../io/run-places.node.ts";

const refused = (where: string, must: string, got: string): CheckpointError =>
  new CheckpointError({ where, must, got, hint: "another folder" });

/** Whether `folder` is `path` or above it. */
const holds = (folder: string, path: string): boolean =>
  folder === path || (dirname(path) !== path && holds(folder, dirname(path)));

/**
 * A checkpoint is replaced whole, so nothing else may be in its folder. One of a run is its run's, and so is the base that a
 * run of adapters keeps, whose manifest names no run: so a run's places are known by their names, too, also while empty.
 * @param where the called function, for an error about the name.
 * @param names of the new files.
 * @returns the folder's path, resolved once.
 */
export const replaceable = async (where: string, directory: string, names: readonly string[]): Promise<string> => {
  const must = "the folder must be new, empty or an earlier checkpoint and nothing else";
  if (directory === "") throw refused(where, "the folder must have a name", '""');
  const path = resolve(directory);
  for (const place of [process.cwd(), homedir()]) {
    if (holds(path, place)) {
      throw refused(directory, "the folder must not be the working directory or one above it", path);
    }
  }
  let occupant: Awaited<ReturnType<typeof occupantOf>>;
  let entries: readonly string[] = [];
  try {
    occupant = await occupantOf(path);
    if (occupant === "ours" || occupant === "a folder of somebody else") entries = await readdir(path);
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError({ where: directory, must: "the folder must be readable", got, cause });
  }
  const other = entries.find((entry) => !names.includes(entry) && entry !== manifestName);
  if (other !== undefined) throw refused(directory, must, `a folder with ${JSON.stringify(other)} in it`);
  if (occupant === "ours" && (await readManifest(path))?.run != null) {
    throw refused(directory, must, "a checkpoint of a run, which goes on from it");
  }
  if (await isPlaceOfRun(path)) throw refused(directory, must, `a folder of the run in ${dirname(directory)}`);
  if (occupant === "nothing" || occupant === "an empty folder" || occupant === "ours") return path;
  throw refused(directory, must, occupant);
};
