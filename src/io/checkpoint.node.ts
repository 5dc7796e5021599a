import { createHash } from "node:crypto";
import { mkdir, readdir, rename, rmdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { CheckpointError } from "../core/errors/errors.ts";
import { systemErrorCode } from "../core/errors/system-error.ts";
import { type Contents, flushFolder, makeFolders, writeFlushed } from "./files.node.ts";
import { type Binding, type FileDigest, manifestJson, manifestName } from "./manifest.ts";
import { occupantOf, removeOwned } from "./owned-folder.node.ts";
import { type SharedFile, shareFile } from "./shared-file.node.ts";
import { isBeingWritten, temporaryName, temporaryOf } from "./temporary-names.node.ts";

/**
 * A checkpoint is a folder of files that are written together and read together, with a manifest of their hashes. To
 * replace NAME:
 *
 *     1. the files go into `.tmp-<random>-NAME` beside it, and are flushed to the disk
 *     2. NAME is renamed to `.old-NAME`          (if there is a NAME)
 *     3. `.tmp-<random>-NAME` is renamed to NAME
 *     4. `.old-NAME` is removed, file by file, or kept under another name
 *
 * After a kill at any moment, the folder under its name is complete: the old one until 2, the new one from 3 on. Between
 * 2 and 3 there is only `.old-NAME`: readers then read it, and the next writer (or `recoverCheckpoint`) renames it back.
 * The next writer removes a `.tmp-…` that was not renamed, unless its process runs, and an `.old-NAME` beside a NAME. One process
 * at a time may replace a checkpoint; several may make a new one, and the first to end does. Any number may read it meanwhile.
 *
 * Only what this program wrote is removed: see owned-folder.node.ts.
 */

/** Names of a checkpoint and of what stands beside it. */
export interface Place {
  readonly path: string;
  readonly parent: string;
  readonly name: string;
  /** The former checkpoint, while it is being replaced. */
  readonly old: string;
}

export const placeOf = (folder: string): Place => {
  const path = resolve(folder);
  const parent = dirname(path);
  const name = basename(path);
  return { path, parent, name, old: join(parent, `.old-${name}`) };
};

/** A folder's identity, which changes when another takes its name; undefined if there is none. */
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

/** The new place of the replaced checkpoint `old`; undefined: it is removed. */
export type Keep = (old: string) => Promise<string | undefined>;

/** Removes or keeps the checkpoint `old`, which `path` has replaced. @param own as in `recoverCheckpoint`. */
const putAway = async ({ path, old }: Place, keep: Keep | undefined, own: readonly string[]): Promise<void> => {
  const kept = await keep?.(old);
  if (kept === undefined) await removeOwned(old, path, own);
  else await rename(old, kept);
};

/**
 * Completes or undoes a killed writer's work on the checkpoint `folder`, so that it is under its own name. Not for use
 * while another process writes it.
 * @param keep as in `writeCheckpoint`.
 * @param own names of files, besides a checkpoint's usual ones, that a killed writer may have left, damaged or not.
 */
export const recoverCheckpoint = async (folder: string, keep?: Keep, own: readonly string[] = []): Promise<void> => {
  const place = placeOf(folder);
  const { path, parent, name, old } = place;
  if (!(await exists(parent))) return;
  const occupant = await occupantOf(old);
  if (occupant !== "nothing") {
    const isOld = occupant === "ours" || occupant === "an empty folder";
    if (isOld && (await occupantOf(path)) === "nothing") await rename(old, path);
    else if (isOld && (await exists(path))) await putAway(place, keep, own);
    else {
      throw new CheckpointError({
        where: old,
        must: "the name must be free while the checkpoint beside it is replaced",
        got: occupant,
        hint: "another name for it",
      });
    }
  }
  for (const entry of await readdir(parent, { withFileTypes: true })) {
    if (entry.isDirectory() && temporaryOf(entry.name) === name && !isBeingWritten(entry.name)) {
      await removeOwned(join(parent, entry.name), undefined, own);
    }
  }
};

const isPlainName = (name: string): boolean => name === basename(name) && !["", ".", ".."].includes(name);

const checkFileNames = (folder: string, names: readonly string[]): void => {
  const isOne = (name: string): boolean =>
    name !== manifestName && name.split("/").length <= 2 && name.split("/").every(isPlainName);
  const bad = names.find((name) => !isOne(name));
  if (bad !== undefined) {
    throw new CheckpointError({
      where: folder,
      must: "a checkpoint's files must be plain names, or plain names in one folder",
      got: JSON.stringify(bad),
    });
  }
};

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const writeError = (folder: string, error: unknown): CheckpointError =>
  error instanceof CheckpointError
    ? error
    : new CheckpointError({
        where: folder,
        must: "the checkpoint must be writable; what was there before is unharmed",
        got: messageOf(error),
        hint: "another folder, or more room on the disk",
        cause: error,
      });

/**
 * Fails unless `folder` can be replaced by a checkpoint: it is unused, empty, or a checkpoint that this program wrote.
 * @param shown the folder as the user named it.
 * @throws CheckpointError also if it cannot be listed.
 */
export const checkReplaceable = async (folder: string, shown = folder): Promise<void> => {
  const occupant = await occupantOf(placeOf(folder).path);
  if (occupant === "nothing" || occupant === "an empty folder" || occupant === "ours") return;
  throw new CheckpointError({
    where: shown,
    must: "the folder must be new, empty or a checkpoint that foretoken wrote",
    got: occupant,
    hint: "another folder",
  });
};

const replace = async (
  place: Place,
  temporary: string,
  keep: Keep | undefined,
  own: readonly string[],
): Promise<void> => {
  const { path, parent, old } = place;
  const replaced = await exists(path);
  if (replaced) await rename(path, old);
  try {
    await rename(temporary, path);
  } catch (error) {
    if (replaced) await rename(old, path);
    throw error;
  }
  await flushFolder(parent);
  // The new one is in its place: the next writer removes the rest.
  if (replaced) await putAway(place, keep, own).catch(() => undefined);
};

/** Errors of systems for a folder that is to have the name of another one with files. */
const isTaken = (error: unknown): boolean => ["ENOTEMPTY", "EEXIST", "EPERM"].includes(systemErrorCode(error) ?? "");

/** Gives a folder its name; one that was there meanwhile is not replaced, unless it is empty. */
const nameNew = async ({ path, parent }: Place, temporary: string, folder: string): Promise<void> => {
  try {
    // Not everywhere a folder can take the name of an empty one. One with files stays.
    await rmdir(path).catch(() => undefined);
    await rename(temporary, path);
  } catch (cause) {
    if (!isTaken(cause) || !(await exists(path))) throw cause;
    const got = "a folder that another program wrote there meanwhile";
    const hint = "another name, or replace: true";
    throw new CheckpointError({ where: folder, must: "the name must be free", got, hint, cause });
  }
  await flushFolder(parent);
};

const isShared = (contents: Contents | SharedFile): contents is SharedFile =>
  typeof contents === "object" && "kind" in contents;

const writeOne = async (path: string, contents: Contents | SharedFile): Promise<FileDigest> => {
  if (isShared(contents)) return shareFile(contents, path);
  const hash = createHash("sha256");
  let bytes = 0;
  await writeFlushed(path, contents, (piece) => {
    hash.update(piece);
    bytes += piece.length;
  });
  return { bytes, sha256: hash.digest("hex") };
};

/** The folders in a checkpoint that files of these names lie in. */
const foldersOf = (names: readonly string[]): readonly string[] => [
  ...new Set(names.flatMap((name) => (name.includes("/") ? [dirname(name)] : []))),
];

/** Options of `writeCheckpoint`, besides the files. */
export interface WriteOptions {
  /** The run of the files. */
  readonly run?: Binding;
  /** New place of the replaced checkpoint; without, it is removed. */
  readonly keep?: Keep;
  /** false: the folder's parent must exist. Default true. */
  readonly makeParents?: boolean;
  /** Whether another process may have made the folder meanwhile, which is an error then. Default: it is replaced. */
  readonly isNew?: boolean;
  /** The folder as the user named it, for errors. Default: `folder`. */
  readonly shown?: string;
  /** Looks at the files as they were written; its error leaves the folder as it was. */
  readonly check?: (digests: Readonly<Record<string, FileDigest>>) => void | Promise<void>;
}

/**
 * Writes the checkpoint `folder` with exactly these files and a manifest, in place of the existing one; a kill or an
 * error leaves the old one or the new one, never half. Returns when it is on the disk itself.
 * @param files contents by plain file name, or by "folder/name"; pieces are asked for one after the other.
 * @throws CheckpointError if the system refuses, or the name belongs to another program's files.
 */
export const writeCheckpoint = async (
  folder: string,
  files: Readonly<Record<string, Contents | SharedFile>>,
  { run, keep, makeParents = true, isNew = false, shown = folder, check }: WriteOptions = {},
): Promise<void> => {
  const place = placeOf(folder);
  const names = Object.keys(files);
  checkFileNames(shown, names);
  const temporary = join(place.parent, temporaryName(place.name));
  let made = false;
  try {
    if (makeParents) await makeFolders(place.parent);
    await checkReplaceable(folder, shown);
    await recoverCheckpoint(folder, keep, names);
    await mkdir(temporary);
    made = true;
    const folders = foldersOf(names).map((inner) => join(temporary, inner));
    for (const inner of folders) await mkdir(inner);
    const digests: Record<string, FileDigest> = {};
    for (const [name, contents] of Object.entries(files)) {
      digests[name] = await writeOne(join(temporary, name), contents);
    }
    await check?.(digests);
    await writeFlushed(join(temporary, manifestName), manifestJson({ run: run ?? null, files: digests }));
    for (const inner of [...folders, temporary]) await flushFolder(inner);
    if (isNew) await nameNew(place, temporary, shown);
    else await replace(place, temporary, keep, names);
  } catch (error) {
    if (made && (await exists(temporary).catch(() => false))) {
      await removeOwned(temporary, undefined, names).catch(() => undefined);
    }
    throw writeError(shown, error);
  }
};
