/** The error for a new run if its folder or its first files cannot be made. */
import { statfs } from "node:fs/promises";
import { basename, dirname, relative, resolve, sep } from "node:path";
import { CheckpointError, ConfigError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { formatBytes } from "../../core/text/format-bytes.ts";
import { temporaryOf } from "../../io/temporary-names.node.ts";

const reasons: Readonly<Record<string, string>> = {
  ENOTDIR: "a file in its path",
  EEXIST: "a file",
  EACCES: "no permission",
  EPERM: "no permission",
  EROFS: "a read-only disk",
  ENOSPC: "a full disk",
  EDQUOT: "a full disk quota",
};

/**
 * Whether the failed call was creating a file or a folder. A disk can have free bytes but no space for another name.
 */
const makesName = (error: unknown): boolean =>
  error instanceof Error && "syscall" in error && ["open", "mkdir", "link", "rename"].includes(String(error.syscall));

/**
 * Describes the free space on the disk of `path`, or of the nearest folder above `path`. Returns "" if the system does
 * not report the free space.
 */
const roomAt = async (path: string, isForName: boolean): Promise<string> => {
  const found = await statfs(path).catch(() => undefined);
  if (found === undefined) return dirname(path) === path ? "" : roomAt(dirname(path), isForName);
  const { bavail, blocks, bsize } = found;
  if (isForName && bavail > 0) return " (no space for another file name)";
  return blocks === 0 ? "" : ` (${formatBytes(bavail * bsize)} of ${formatBytes(blocks * bsize)} free)`;
};

/** The name of the file in an error, relative to the folder `path`. Returns "" if the error names no file. */
const fileOf = (error: unknown, path: string): string => {
  const cause = error instanceof CheckpointError ? error.cause : error;
  const named = cause instanceof Error && "path" in cause ? cause.path : undefined;
  const where = error instanceof CheckpointError ? error.details.where : undefined;
  const file = typeof named === "string" ? named : where;
  if (file === undefined) return "";
  const inside = relative(path, resolve(file))
    .split(sep)
    .map((name) => temporaryOf(name) ?? name);
  return inside[0] === ".." ? basename(file) : inside.join("/");
};

/**
 * The error for a run that cannot start, because the system refuses to make its folder or its first files.
 * @param out the folder `path`, as the user gave it.
 * @returns `error` itself, if it is not a system error.
 */
export const unwritable = async (out: string, path: string, error: unknown): Promise<unknown> => {
  const cause = error instanceof CheckpointError ? error.cause : error;
  const code = systemErrorCode(cause);
  if (code === undefined) return error;
  // Remove the name of the system call and the path from the system's message.
  const reason = reasons[code] ?? (cause as Error).message.replace(/, \w+(?: '.*)?$/su, "");
  const room = code === "ENOSPC" ? await roomAt(path, makesName(cause)) : "";
  const file = fileOf(error, path);
  return new ConfigError({
    where: `out ${out}`,
    must: "it must be possible to create the folder and write to it",
    got: `${reason}${room}${file === "" ? "" : `, at ${file}`}`,
    hint:
      code === "ENOSPC" || code === "EDQUOT"
        ? "freeing space on this disk, or a folder on another disk"
        : "another folder",
    cause: error,
  });
};
