/** Finds the run and the checkpoint that a path names. */
import { basename, dirname, join, resolve } from "node:path";
import { CheckpointError, ForetokenError } from "../../core/errors/errors.ts";
import { readRegularFile, UnreadableFileError } from "../../core/system/regular-file.node.ts";
import { type Lock, takeLock } from "../../io/lock.node.ts";
import { maxDescriptionBytes } from "../description.node.ts";
import { findsFolder } from "../finds-folder.node.ts";
import { folderNames, isResumable } from "../folder-names.ts";

/** A run and one of its checkpoints. */
export interface NamedRun {
  /** The run's folder, as the user named it. */
  readonly path: string;
  /** Name of the checkpoint in the run's folder. */
  readonly checkpoint: string;
}

/**
 * Resolves `named`: a run's folder, or a checkpoint in a run's folder. For a run's folder, the result is the last
 * checkpoint.
 */
export const findRun = async (named: string): Promise<NamedRun> => {
  const name = basename(resolve(named));
  if (isResumable(name) && (await findsFolder(named))) {
    const folder = dirname(resolve(named));
    const hasRun = await readRegularFile(join(folder, folderNames.description), { maxBytes: maxDescriptionBytes }).then(
      () => true,
      () => false,
    );
    if (hasRun)
      return { path: dirname(named) === "." && !named.includes("/") ? folder : dirname(named), checkpoint: name };
  }
  return { path: named, checkpoint: folderNames.checkpoint };
};

/**
 * Takes a run's lock. @throws ConfigError if another process works in the folder. @throws CheckpointError if the lock
 * cannot be made.
 */
export const lockRun = async (path: string): Promise<Lock> => {
  try {
    return await takeLock(join(resolve(path), folderNames.lock), `resume ${path}`);
  } catch (cause) {
    if (cause instanceof ForetokenError) throw cause;
    if (cause instanceof UnreadableFileError) {
      const where = join(path, folderNames.lock);
      throw new CheckpointError({ where, must: cause.must, got: cause.got, hint: "removing it", cause });
    }
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError({ where: `resume ${path}`, must: "the run's folder must be writable", got, cause });
  }
};
