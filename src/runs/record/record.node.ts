import { join } from "node:path";
import { CheckpointError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { openRegularFile, readRegularFile, UnreadableFileError } from "../../core/system/regular-file.node.ts";
import { replaceFile } from "../../io/files.node.ts";
import { type FlightRecord, parseRecord, recordMark } from "./flight-record.ts";

/** Maximum size of a record in bytes. The limit allows more elements than any supported model has. */
const maxBytes = 2 ** 33;

/**
 * Number of bytes at the file's beginning that contain the mark of a record. The mark is there because the metadata
 * come first.
 */
const markWithin = 2 ** 16;

/** Whether `path` may be replaced: it does not exist, or is the record of a step. */
const isOurs = async (path: string): Promise<boolean> => {
  try {
    const file = await openRegularFile(path);
    try {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(markWithin), 0, markWithin, 0);
      return buffer.subarray(0, bytesRead).includes(recordMark);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof UnreadableFileError) return false;
    if (systemErrorCode(error) === "ENOENT") return true;
    throw error;
  }
};

/**
 * Writes the record of a step into a run's folder, atomically, and returns its path.
 * @throws CheckpointError if a file that is not a record has this name.
 */
export const writeRecord = async (folder: string, name: string, chunks: readonly Uint8Array[]): Promise<string> => {
  const path = join(folder, name);
  if (!(await isOurs(path))) {
    throw new CheckpointError({
      where: path,
      must: "this file name must be free for the record of a step",
      got: "another file",
      hint: "renaming that file",
    });
  }
  await replaceFile(path, chunks);
  return path;
};

/**
 * Reads the record of a step. The record may be forged.
 * @throws CheckpointError with the damage.
 */
export const readRecord = async (path: string): Promise<FlightRecord> => {
  // Follow a link, because the user named this file.
  const bytes = await readRegularFile(path, { maxBytes, followLinks: true }).catch((cause: unknown) => {
    const code = systemErrorCode(cause);
    const refused = cause instanceof UnreadableFileError ? cause : undefined;
    const got = code === "ENOENT" ? "no such file" : (refused?.got ?? code ?? String(cause));
    throw new CheckpointError({ where: path, must: refused?.must ?? "must name a readable file", got, cause });
  });
  return parseRecord(bytes, path);
};
