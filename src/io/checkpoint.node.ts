import { createHash } from "node:crypto";
import { mkdir, readdir, rename, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CheckpointError } from "../core/errors/errors.ts";
import { messageOf, systemErrorCode } from "../core/errors/system-error.ts";
import { exists, type Place, placeOf } from "./checkpoint-place.node.ts";
import { type Contents, flushFolder, makeFolders, writeFlushed } from "./files.node.ts";
import { type Binding, type FileDigest, manifestJson, manifestName } from "./manifest.ts";
import { occupantOf, removeOwned } from "./owned-folder.node.ts";
import { type SharedFile, shareFile } from "./shared-file.node.ts";
import { isBeingWritten, temporaryName, temporaryOf } from "./temporary-names.node.ts";

/**
 * A checkpoint is a folder of files that are written and read together. The manifest of a checkpoint lists the files'
 * hashes. A writer replaces the folder NAME in four steps:
 * 1. write the files into `.tmp-<random>-NAME` next to NAME, and flush them to disk
 * 2. rename NAME to `.old-NAME` (if NAME exists)
 * 3. rename `.tmp-<random>-NAME` to NAME
 * 4. remove `.old-NAME` file by file, or keep it under another name
 * After a kill at any moment, a complete checkpoint exists: the old checkpoint before step 2, the new checkpoint after
 * step 3. Between steps 2 and 3, only `.old-NAME` exists. Readers then read `.old-NAME`, and the next writer (or
 * `recoverCheckpoint`) renames it back to NAME. The next writer also removes a leftover `.tmp-…` if the process that
 * wrote it has ended. If both NAME and `.old-NAME` exist, the next writer removes `.old-NAME`.
 * Only one process at a time may replace a checkpoint. Several processes may create the same new checkpoint at once;
 * the first process to finish wins. Any number of processes may read a checkpoint at the same time.
 * Only files that Foretoken wrote are removed: see owned-folder.node.ts.
 */

/** Returns the path to which the replaced checkpoint `old` is moved, or undefined if `old` is to be removed. */
export type Keep = (old: string) => Promise<string | undefined>;

/**
 * Removes the replaced checkpoint `old`, or moves it to the path that `keep` returns. @param own as in
 * `recoverCheckpoint`.
 */
const putAway = async ({ path, old }: Place, keep: Keep | undefined, own: readonly string[]): Promise<void> => {
  const kept = await keep?.(old);
  if (kept === undefined) await removeOwned(old, path, own);
  else await rename(old, kept);
};

/**
 * Finishes or undoes the write of a process that was killed. Afterwards, the checkpoint has the name `folder` again. Do
 * not call this function while another process writes the checkpoint.
 * @param keep as in `writeCheckpoint`.
 * @param own names of further files that the killed process may have left, complete or not.
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
        must: "no other program may use this name while the checkpoint is replaced",
        got: occupant,
        hint: "renaming it",
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
      must: "a checkpoint's file names must be plain names or have the form folder/name",
      got: JSON.stringify(bad),
    });
  }
};

const writeError = (folder: string, error: unknown): CheckpointError =>
  error instanceof CheckpointError
    ? error
    : new CheckpointError({
        where: folder,
        must: "the checkpoint must be writable; the previous contents are unchanged",
        got: messageOf(error),
        hint: "another folder, or more disk space",
        cause: error,
      });

/**
 * Checks that a checkpoint may replace `folder`. The path must be unused, an empty folder, or a checkpoint that
 * Foretoken wrote.
 * @param shown the folder as the user named it.
 * @param hint what the user can do about other contents.
 * @throws CheckpointError if `folder` may not be replaced or cannot be listed.
 */
export const checkReplaceable = async (folder: string, shown = folder, hint = "another folder"): Promise<void> => {
  const occupant = await occupantOf(placeOf(folder).path);
  if (occupant === "nothing" || occupant === "an empty folder" || occupant === "ours") return;
  throw new CheckpointError({
    where: shown,
    must: "the folder must be new, empty or a checkpoint that foretoken wrote",
    got: occupant,
    hint,
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
  // The new checkpoint is in place. If this cleanup fails, the next writer repeats it.
  if (replaced) await putAway(place, keep, own).catch(() => undefined);
};

/** Whether a rename failed because a folder with files already has the name. */
const isTaken = (error: unknown): boolean => ["ENOTEMPTY", "EEXIST", "EPERM"].includes(systemErrorCode(error) ?? "");

/**
 * Renames a new folder to its final name. If another folder has taken this name in the meantime, that folder is
 * replaced only if it is empty.
 */
const nameNew = async ({ path, parent }: Place, temporary: string, folder: string): Promise<void> => {
  try {
    // On some systems, a rename cannot replace an empty folder. So the empty folder is removed first. A folder with
    // files is not removed.
    await rmdir(path).catch(() => undefined);
    await rename(temporary, path);
  } catch (cause) {
    if (!isTaken(cause) || !(await exists(path))) throw cause;
    const got = "a folder that another program created in the meantime";
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

/** Names of the inner folders that a checkpoint with these file names needs. */
const foldersOf = (names: readonly string[]): readonly string[] => [
  ...new Set(names.flatMap((name) => (name.includes("/") ? [dirname(name)] : []))),
];

/** Options of `writeCheckpoint`. */
export interface WriteOptions {
  /** The run that the files belong to. */
  readonly run?: Binding;
  /** Returns the path to which the replaced checkpoint is moved. Default: the replaced checkpoint is removed. */
  readonly keep?: Keep;
  /** Whether missing parent folders are created. Default: true. */
  readonly makeParents?: boolean;
  /**
   * Whether the folder must be new. If true, the function throws if another process has created the folder in the
   * meantime. If false, that folder is replaced. Default: false.
   */
  readonly isNew?: boolean;
  /** The folder as the user named it, for errors. Default: `folder`. */
  readonly shown?: string;
  /** Checks the digests of the written files. If this function throws, the old folder stays unchanged. */
  readonly check?: (digests: Readonly<Record<string, FileDigest>>) => void | Promise<void>;
}

/**
 * Writes the checkpoint `folder` with exactly these files and a manifest. An existing checkpoint is replaced
 * atomically: after a kill or an error, either the complete old checkpoint or the complete new checkpoint exists.
 * Returns after everything is flushed to disk.
 * @param files contents by plain file name or "folder/name". The function requests one piece at a time.
 * @throws CheckpointError if the operating system refuses to write, or the folder contains files of another program.
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
