import { constants } from "node:fs";
import { type FileHandle, lstat, open, stat } from "node:fs/promises";
import { systemErrorCode } from "../errors/system-error.ts";

/** Maximum number of bytes that one call reads. Some systems refuse 2 GiB and more. */
const maxBytesPerCall = 2 ** 30;

/** Limits of a read. */
export interface ReadLimits {
  /** Maximum file size. A larger file is refused before memory is allocated for it. */
  readonly maxBytes: number;
  /**
   * Whether to follow links. Default: false, because a folder from an untrusted source could contain a link to any file
   * of the user.
   */
  readonly followLinks?: boolean;
}

/**
 * Error for a path that exists but was not read, because of its file type or its size. The error has the parts of an
 * error line.
 */
export class UnreadableFileError extends Error {
  override readonly name = "UnreadableFileError";
  readonly must: string;
  readonly got: string;

  constructor(must: string, got: string) {
    super(`${must}; got ${got}`);
    this.must = must;
    this.got = got;
  }
}

/** A file that is too large. */
export class FileTooLargeError extends UnreadableFileError {}

const mustBeFile = "the path must be a regular file";

/**
 * Opens a regular file for reading. A pipe, device or folder is refused without reading or waiting.
 * @throws UnreadableFileError if the path is not a regular file; the system's own error if the file cannot be opened.
 */
export const openRegularFile = async (path: string, followLinks = false): Promise<FileHandle> => {
  // Opening must not block: opening a pipe would wait for a writer. Windows has neither flag.
  const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
  const file = await open(path, O_RDONLY | O_NONBLOCK | (followLinks ? 0 : O_NOFOLLOW)).catch((error: unknown) => {
    const code = systemErrorCode(error);
    if (code === "ELOOP") throw new UnreadableFileError(mustBeFile, "a link");
    // A socket.
    if (code === "ENXIO") throw new UnreadableFileError(mustBeFile, "something else");
    throw error;
  });
  try {
    const found = await file.stat();
    if (found.isFile()) return file;
    throw new UnreadableFileError(mustBeFile, found.isDirectory() ? "a folder" : "something else");
  } catch (error) {
    await file.close();
    throw error;
  }
};

/**
 * Reads a whole regular file into a new buffer that nothing else uses, so that numbers in the buffer are aligned.
 * @param onPiece gets each piece as soon as it is read, while the next piece is being read.
 * @throws UnreadableFileError if the path is not a regular file, or the file is larger than `maxBytes`. Other errors
 * are the system's own.
 */
export const readRegularFile = async (
  path: string,
  { maxBytes, followLinks = false }: ReadLimits,
  onPiece?: (piece: Uint8Array) => void,
): Promise<Uint8Array> => {
  const file = await openRegularFile(path, followLinks);
  try {
    const { size } = await file.stat();
    if (size > maxBytes) throw new FileTooLargeError(`the file must be at most ${maxBytes} bytes`, `${size} bytes`);
    const bytes = new Uint8Array(size);
    const pieceBytes = onPiece === undefined ? maxBytesPerCall : 2 ** 22;
    let offset = 0;
    let pending: Uint8Array | undefined;
    while (offset < size) {
      const reading = file.read(bytes, offset, Math.min(size - offset, pieceBytes), offset);
      if (pending !== undefined) onPiece?.(pending);
      const { bytesRead } = await reading;
      pending = bytes.subarray(offset, offset + bytesRead);
      if (bytesRead === 0) break;
      offset += bytesRead;
    }
    if (pending !== undefined && pending.length > 0) onPiece?.(pending);
    return bytes.subarray(0, offset);
  } finally {
    await file.close();
  }
};

/** Whether `path` is a regular file, not a link. */
export const isRegularFile = async (path: string): Promise<boolean> =>
  lstat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/** Whether `path` is a regular file or a link to a regular file. */
export const isFile = async (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
