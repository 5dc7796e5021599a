/** Checks that a folder may be replaced by a saved model. */
import { readdir } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, resolve } from "node:path";
import { CheckpointError } from "../../core/errors/errors.ts";
import { manifestName } from "../../io/manifest.ts";
import { occupantOf } from "../../io/owned-folder.node.ts";
import { readManifest } from "../../io/read-manifest.node.ts";
import { isPlaceOfRun } from "../../io/run-places.node.ts";

const refused = (where: string, must: string, got: string): CheckpointError =>
  new CheckpointError({ where, must, got, hint: "another folder" });

/** Whether `folder` is `path` itself or one of its parents. */
const holds = (folder: string, path: string): boolean =>
  folder === path || (dirname(path) !== path && holds(folder, dirname(path)));

/**
 * Checks that a checkpoint may replace the folder `directory`. The whole folder is replaced, so it must not contain
 * other files. A run's own folders are never replaced, even if they are empty. The function recognizes most of these
 * folders by the run in their manifest. The function also checks folder names, because the manifest of a kept base
 * model names no run.
 * @param where the called function, for an error about the name.
 * @param names names of the new files.
 * @returns the folder's resolved path.
 */
export const replaceable = async (where: string, directory: string, names: readonly string[]): Promise<string> => {
  const must = "the folder must be new, empty or contain only an earlier checkpoint";
  if (directory === "") throw refused(where, "the folder must have a name", '""');
  const path = resolve(directory);
  for (const place of [process.cwd(), homedir()]) {
    if (holds(path, place)) {
      throw refused(directory, "the folder must not be or contain the working directory or the home directory", path);
    }
  }
  let occupant: Awaited<ReturnType<typeof occupantOf>>;
  let entries: readonly string[] = [];
  try {
    occupant = await occupantOf(path);
    if (occupant === "ours" || occupant === "a folder that foretoken did not write") entries = await readdir(path);
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError({ where: directory, must: "the folder must be readable", got, cause });
  }
  const other = entries.find((entry) => !names.includes(entry) && entry !== manifestName);
  if (other !== undefined) throw refused(directory, must, `a folder that contains ${JSON.stringify(other)}`);
  if (occupant === "ours" && (await readManifest(path))?.run != null) {
    throw refused(directory, must, "a checkpoint that a run resumes from");
  }
  if (await isPlaceOfRun(path))
    throw refused(directory, must, `a folder that belongs to the run in ${dirname(directory)}`);
  if (occupant === "nothing" || occupant === "an empty folder" || occupant === "ours") return path;
  throw refused(directory, must, occupant);
};
