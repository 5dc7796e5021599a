import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { CheckpointError } from "../core/errors.ts";
import { systemErrorCode } from "../core/system-error.ts";
import { type Contents, flushFolder, makeFolders, readWhole, writeFlushed } from "./files.node.ts";

/**
 * A checkpoint is a folder of files that are written together and read together. How NAME is replaced:
 *
 *     1. the files go into `.tmp-<random>-NAME` beside it, and are flushed to the disk
 *     2. NAME is renamed to `.old-NAME`          (where there is a NAME)
 *     3. `.tmp-<random>-NAME` is renamed to NAME
 *     4. `.old-NAME` is deleted
 *
 * Killed at any moment, the folder under its name is whole: the old one until 2, the new one from 3 on. Between 2 and
 * 3 there is only `.old-NAME`: readers then read that, and the next writer (or `recoverCheckpoint`) renames it back.
 * A `.tmp-…` that nobody renamed, and an `.old-NAME` beside a NAME, are rubbish that the next writer deletes. One
 * process at a time may write a checkpoint; any number may read it meanwhile.
 */

interface Place {
  readonly path: string;
  readonly parent: string;
  readonly name: string;
  /** Where the one before is while it is being replaced. */
  readonly old: string;
}

const placeOf = (folder: string): Place => {
  const path = resolve(folder);
  const parent = dirname(path);
  const name = basename(path);
  return { path, parent, name, old: join(parent, `.old-${name}`) };
};

/** A folder's identity, which changes when another takes its name; undefined where there is none. */
const identityOf = async (path: string): Promise<string | undefined> => {
  try {
    const found = await stat(path, { bigint: true });
    return found.isDirectory() ? `${found.dev}:${found.ino}:${found.birthtimeNs}` : undefined;
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
};

const exists = async (path: string): Promise<boolean> => (await identityOf(path)) !== undefined;

/**
 * Finishes or undoes what a killed writer left of the checkpoint `folder`, so that it is under its own name. Not for
 * use while another process writes it.
 */
export const recoverCheckpoint = async (folder: string): Promise<void> => {
  const { path, parent, name, old } = placeOf(folder);
  if (!(await exists(parent))) return;
  if (await exists(old)) {
    if (await exists(path)) await rm(old, { recursive: true, force: true });
    else await rename(old, path);
  }
  for (const entry of await readdir(parent)) {
    if (/^\.tmp-[0-9a-f]{12}-(.*)$/s.exec(entry)?.[1] === name) {
      await rm(join(parent, entry), { recursive: true, force: true });
    }
  }
};

const checkFileNames = (folder: string, names: readonly string[]): void => {
  const bad = names.find((name) => name !== basename(name) || name === "" || name === "." || name === "..");
  if (bad !== undefined) {
    throw new CheckpointError({
      where: folder,
      must: "a checkpoint's files must be plain names",
      got: JSON.stringify(bad),
    });
  }
};

const writeError = (folder: string, error: unknown): CheckpointError =>
  new CheckpointError({
    where: folder,
    must: "the checkpoint must be writable; what was there before is unharmed",
    got: error instanceof Error ? error.message : String(error),
    hint: "another folder, or more room on the disk",
    cause: error,
  });

const replace = async ({ path, parent, old }: Place, temporary: string): Promise<void> => {
  const replaced = await exists(path);
  if (replaced) await rename(path, old);
  try {
    await rename(temporary, path);
  } catch (error) {
    if (replaced) await rename(old, path);
    throw error;
  }
  await flushFolder(parent);
  if (replaced) await rm(old, { recursive: true, force: true });
};

/**
 * Writes the checkpoint `folder` with exactly these files, in place of the one that is there; a kill or an error
 * leaves the old one or the new one, never half. Returns when it is on the disk itself. Makes missing parent folders.
 * @param files contents by plain file name.
 * @throws CheckpointError when the system refuses, or something that is no folder has the name.
 */
export const writeCheckpoint = async (folder: string, files: Readonly<Record<string, Contents>>): Promise<void> => {
  const place = placeOf(folder);
  checkFileNames(folder, Object.keys(files));
  const temporary = join(place.parent, `.tmp-${randomBytes(6).toString("hex")}-${place.name}`);
  try {
    await makeFolders(place.parent);
    await recoverCheckpoint(folder);
    await mkdir(temporary);
    for (const [name, contents] of Object.entries(files)) await writeFlushed(join(temporary, name), contents);
    await flushFolder(temporary);
    await replace(place, temporary);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw writeError(folder, error);
  }
};

/** Whether there is a checkpoint `folder` that `readCheckpoint` would read, under its own name or a killed writer's. */
export const hasCheckpoint = async (folder: string): Promise<boolean> => {
  const { path, old } = placeOf(folder);
  return (await exists(path)) || (await exists(old));
};

const missing = (folder: string): CheckpointError =>
  new CheckpointError({
    where: folder,
    must: "the path must be a checkpoint's folder",
    got: "no such folder",
    hint: "a run's folder, or the checkpoint/ or best/ in it",
  });

const readFile = async (folder: string, path: string, name: string): Promise<Uint8Array> => {
  try {
    return await readWhole(join(path, name));
  } catch (error) {
    const where = join(folder, name);
    if (systemErrorCode(error) === "ENOENT") {
      const must = `a checkpoint must have ${name}`;
      throw new CheckpointError({
        where,
        must,
        got: "no such file",
        hint: "a complete copy of the folder",
        cause: error,
      });
    }
    const got = error instanceof Error ? error.message : String(error);
    throw new CheckpointError({ where, must: "the file must be readable", got, cause: error });
  }
};

/** How often a reader starts again when a writer replaces the folder under its hands. */
const attempts = 100;

/**
 * The named files of the checkpoint `folder`, all from one and the same writing of it.
 * @returns contents by name, each in a buffer of its own.
 * @throws CheckpointError when the folder or one of the files is missing or unreadable.
 */
export const readCheckpoint = async <Name extends string>(
  folder: string,
  names: readonly Name[],
): Promise<Record<Name, Uint8Array>> => {
  const { path, old } = placeOf(folder);
  for (let attempt = 1; ; attempt++) {
    // A NAME that turns up while `.old-NAME` is looked for has changed the identity: the next attempt finds it.
    const identity = await identityOf(path);
    const from = identity === undefined && (await exists(old)) ? old : path;
    try {
      if (identity === undefined && from === path && (await identityOf(path)) === undefined) throw missing(folder);
      const files = {} as Record<Name, Uint8Array>;
      for (const name of names) files[name] = await readFile(folder, from, name);
      if ((await identityOf(path)) === identity || attempt === attempts) return files;
    } catch (error) {
      if ((await identityOf(path)) === identity || attempt === attempts) throw error;
    }
  }
};
