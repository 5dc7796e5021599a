import { stat } from "node:fs/promises";
import { CheckpointError } from "../core/errors/errors.ts";
import { systemErrorCode } from "../core/errors/system-error.ts";

/**
 * System errors for a path that does not exist. After any other error, for example from a broken disk, the path may
 * still exist.
 */
const nothingThere: readonly string[] = ["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"];

/** Whether there is a folder at `path`. @throws CheckpointError if the system cannot look up the path. */
export const findsFolder = async (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    (cause: unknown) => {
      if (nothingThere.includes(systemErrorCode(cause) ?? "")) return false;
      const got = cause instanceof Error ? cause.message : String(cause);
      throw new CheckpointError({ where: path, must: "the path must be readable", got, cause });
    },
  );
