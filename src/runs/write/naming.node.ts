import { CheckpointError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { UnreadableFileError } from "../../core/system/regular-file.node.ts";

/**
 * Adds the file name `where` to an error from `work`, because the system's errors for open files do not name the file.
 */
export const naming = async (where: string, work: Promise<void>): Promise<void> => {
  try {
    await work;
  } catch (cause) {
    if (cause instanceof UnreadableFileError) {
      throw new CheckpointError({ where, must: cause.must, got: cause.got, cause });
    }
    if (systemErrorCode(cause) === undefined) throw cause;
    throw new CheckpointError({
      where,
      must: "the run's event log must be writable",
      got: cause instanceof Error ? cause.message : String(cause),
      hint: "freeing space on the disk",
      cause,
    });
  }
};
