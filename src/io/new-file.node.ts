/** Writes single files of the user's: whole or not at all, and never over another one unasked. */
import { link, lstat, readdir, rename, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CheckpointError } from "../core/errors/errors.ts";
import { systemErrorCode } from "../core/errors/system-error.ts";
import {
  type Contents,
  flushFolder,
  isRegularFile,
  makeFolders,
  removeEmptyFolders,
  writeFlushed,
} from "./files.node.ts";
import { checkpointAround } from "./owned-folder.node.ts";
import { isBeingWritten, temporaryName, temporaryOf } from "./temporary-names.node.ts";

const taken = (path: string, got: string): CheckpointError =>
  new CheckpointError({
    where: path,
    must: "the name must be free",
    got,
    hint: "another name, or replace: true",
  });

/**
 * Fails for a place within the folder of a model or a run's checkpoint, which would no longer be what its manifest says.
 * @throws CheckpointError
 */
export const checkApart = async (path: string): Promise<void> => {
  const around = await checkpointAround(path);
  if (around === undefined) return;
  throw new CheckpointError({
    where: path,
    must: "must not lie in a model's folder, whose manifest names its files",
    got: around,
    hint: "another folder",
  });
};

/** @throws CheckpointError for a place below a file, where no folder can be made. */
export const checkBelowFolders = async (path: string): Promise<void> => {
  for (let above = dirname(path); ; above = dirname(above)) {
    const found = await stat(above).catch(() => undefined);
    if (found === undefined && dirname(above) !== above) continue;
    if (found === undefined || found.isDirectory()) return;
    throw new CheckpointError({
      where: path,
      must: "must lie in a folder",
      got: `${above}, which is a file`,
      hint: "another name",
    });
  }
};

/**
 * Fails unless a new file can have this name.
 * @param replace whether a file of that name may be replaced; a folder never is.
 * @throws CheckpointError
 */
export const checkFree = async (path: string, replace: boolean): Promise<void> => {
  await checkApart(path);
  await checkBelowFolders(path);
  const found = await lstat(path).catch((error: unknown) => {
    const code = systemErrorCode(error);
    if (code === "ENOENT") return undefined;
    const got = error instanceof Error ? error.message : String(error);
    throw new CheckpointError({ where: path, must: "the file must be writable", got, cause: error });
  });
  if (found === undefined || (replace && found.isFile())) return;
  if (found.isFile()) throw taken(path, "a file of that name");
  const got = found.isDirectory() ? "a folder of that name" : "something else of that name";
  throw new CheckpointError({ where: path, must: "the name must be free", got, hint: "another name" });
};

/** Errors of systems and disks that know no second name of a file. */
const withoutLinks = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"];

/** Gives a file its name; one that was there meanwhile is not replaced. */
const nameNew = async (temporary: string, path: string): Promise<void> => {
  try {
    await link(temporary, path);
  } catch (error) {
    const code = systemErrorCode(error) ?? "";
    if (code === "EEXIST") throw taken(path, "a file of that name");
    if (!withoutLinks.includes(code)) throw error;
    await checkFree(path, false);
    await rename(temporary, path);
    return;
  }
  await unlink(temporary);
};

/** Removes what a killed writer of the same file has left beside it. */
const removeUnfinished = async (path: string): Promise<void> => {
  const folder = dirname(path);
  for (const entry of await readdir(folder)) {
    const left = join(folder, entry);
    if (temporaryOf(entry) !== basename(path) || isBeingWritten(entry) || !(await isRegularFile(left))) continue;
    await unlink(left).catch((error: unknown) => {
      // Another writer of the same name may have removed it.
      if (systemErrorCode(error) !== "ENOENT") throw error;
    });
  }
};

/**
 * Writes a file, and its missing folders. A kill or an error leaves it whole or not there; a file that it replaces stays until
 * then. Of several processes that write it, the last to end has its contents there, or, where none may be replaced, the first.
 * @param replace whether a file of that name may be replaced.
 * @throws CheckpointError if the name is taken, or the system refuses; and what `contents` throws.
 */
export const writeNewFile = async (path: string, contents: Contents, replace: boolean): Promise<void> => {
  const folder = dirname(path);
  let made: readonly string[] = [];
  const temporary = join(folder, temporaryName(basename(path)));
  try {
    await checkFree(path, replace);
    made = await makeFolders(folder);
    await removeUnfinished(path);
    await writeFlushed(temporary, contents);
    if (replace) await rename(temporary, path);
    else await nameNew(temporary, path);
    await flushFolder(folder);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    await removeEmptyFolders(made);
    if (systemErrorCode(error) === undefined) throw error;
    const got = error instanceof Error ? error.message : String(error);
    const hint = "another folder, or more room on the disk";
    throw new CheckpointError({ where: path, must: "the file must be writable", got, hint, cause: error });
  }
};
