/** Finds and opens GGUF files. It is separate from what reads them, because most models have no GGUF file. */
import { CheckpointError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { UnreadableFileError } from "../../core/system/regular-file.node.ts";
import type { ByteSource } from "../../io/byte-source.ts";
import { openFileSource } from "../../io/file-source.node.ts";

/** Whether a path ends in `.gguf`. */
export const isGgufName = (path: string): boolean => /\.gguf$/iu.test(path);

/** Opens a GGUF file that a user named. @throws CheckpointError if the file is missing or unreadable. */
export const openGgufSource = async (path: string): Promise<ByteSource> => {
  try {
    return await openFileSource(path, path, true);
  } catch (cause) {
    if (cause instanceof UnreadableFileError) {
      throw new CheckpointError({ where: path, must: cause.must, got: cause.got, cause });
    }
    if (systemErrorCode(cause) === "ENOENT") {
      throw new CheckpointError({ where: path, must: "the path must name a model", got: "no such file", cause });
    }
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError({ where: path, must: "the file must be readable", got, cause });
  }
};
