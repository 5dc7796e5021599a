/**
 * Writes single files that the user asked for. Each file is written atomically. An existing file is replaced only if
 * the user allows it.
 */
import { link, lstat, readdir, rename, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CheckpointError } from "../core/errors/errors.ts";
import { systemErrorCode } from "../core/errors/system-error.ts";
import { isRegularFile } from "../core/system/regular-file.node.ts";
import { type Contents, flushFolder, makeFolders, removeEmptyFolders, writeFlushed } from "./files.node.ts";
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
 * Checks that `path` is not inside the folder of a model or of a run's checkpoint. The folder's manifest would not list
 * a new file.
 * @throws CheckpointError
 */
export const checkApart = async (path: string): Promise<void> => {
  const around = await checkpointAround(path);
  if (around === undefined) return;
  throw new CheckpointError({
    where: path,
    must: "must not be inside a model's folder: the folder's manifest would not list the new file",
    got: around,
    hint: "another folder",
  });
};

/** @throws CheckpointError if a parent of `path` is a file, so that no folder can be created there. */
export const checkBelowFolders = async (path: string): Promise<void> => {
  for (let above = dirname(path); ; above = dirname(above)) {
    const found = await stat(above).catch(() => undefined);
    if (found === undefined && dirname(above) !== above) continue;
    if (found === undefined || found.isDirectory()) return;
    throw new CheckpointError({
      where: path,
      must: "must be in a folder",
      got: `${above}, which is a file`,
      hint: "another name",
    });
  }
};

/**
 * Checks that a new file can have this name.
 * @param replace whether an existing file may be replaced; a folder is never replaced.
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
  if (found.isFile()) throw taken(path, "a file with this name");
  const got = found.isDirectory() ? "a folder with this name" : "something else with this name";
  throw new CheckpointError({ where: path, must: "the name must be free", got, hint: "another name" });
};

/** Error codes of systems and disks that do not support hard links. */
const withoutLinks = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"];

/** Renames a new file to its final name. Fails if another file has taken this name in the meantime. */
const nameNew = async (temporary: string, path: string): Promise<void> => {
  try {
    await link(temporary, path);
  } catch (error) {
    const code = systemErrorCode(error) ?? "";
    if (code === "EEXIST") throw taken(path, "a file with this name");
    if (!withoutLinks.includes(code)) throw error;
    await checkFree(path, false);
    await rename(temporary, path);
    return;
  }
  await unlink(temporary);
};

/** Removes temporary files of the same file that a killed process has left. */
const removeUnfinished = async (path: string): Promise<void> => {
  const folder = dirname(path);
  for (const entry of await readdir(folder)) {
    const left = join(folder, entry);
    if (temporaryOf(entry) !== basename(path) || isBeingWritten(entry) || !(await isRegularFile(left))) continue;
    await unlink(left).catch((error: unknown) => {
      // Another process that writes the same file may have removed this temporary file.
      if (systemErrorCode(error) !== "ENOENT") throw error;
    });
  }
};

/**
 * Writes a file and creates its missing folders. After a kill or an error, the file is either complete or not there. An
 * old file is replaced only when the new file is complete. If several processes write the same file, the last process
 * to finish wins. If replacing is not allowed, the first process to finish wins.
 * @param replace whether an existing file may be replaced.
 * @throws CheckpointError if the name is taken or the operating system refuses to write. Errors of `contents` are
 * passed on.
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
    const hint = "another folder, or more disk space";
    throw new CheckpointError({ where: path, must: "the file must be writable", got, hint, cause: error });
  }
};
