/** Finds checkpoints. It is separate from what reads and writes them, because some callers only look for a checkpoint. */
import { stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { systemErrorCode } from "../core/errors/system-error.ts";
import { isRunFolder } from "./run-places.node.ts";

/** Paths of a checkpoint and of the folders next to it. */
export interface Place {
  readonly path: string;
  readonly parent: string;
  readonly name: string;
  /** The previous checkpoint, while it is being replaced. */
  readonly old: string;
}

export const placeOf = (folder: string): Place => {
  const path = resolve(folder);
  const parent = dirname(path);
  const name = basename(path);
  return { path, parent, name, old: join(parent, `.old-${name}`) };
};

/**
 * Returns a text that identifies the folder at a path, or undefined if there is no folder. If another folder takes the
 * same path, the text changes.
 */
export const identityOf = async (path: string): Promise<string | undefined> => {
  try {
    const found = await stat(path, { bigint: true });
    return found.isDirectory() ? `${found.dev}:${found.ino}:${found.birthtimeNs}` : undefined;
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
};

export const exists = async (path: string): Promise<boolean> => (await identityOf(path)) !== undefined;

/**
 * Returns whether `readCheckpoint` would find the checkpoint `folder`. The checkpoint may also have the name
 * `.old-NAME` if a writer was killed.
 */
export const hasCheckpoint = async (folder: string): Promise<boolean> => {
  const { path, old } = placeOf(folder);
  return (await exists(path)) || (await exists(old));
};

/**
 * The checkpoint that a run's folder stands for: its best weights. If there are none, its last weights. Undefined if
 * `folder` is not a run's folder or has neither.
 */
export const checkpointOfRun = async (folder: string): Promise<string | undefined> => {
  if (!(await isRunFolder(folder))) return undefined;
  for (const name of ["best", "checkpoint"]) if (await hasCheckpoint(join(folder, name))) return join(folder, name);
  return undefined;
};
