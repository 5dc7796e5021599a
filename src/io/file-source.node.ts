/** Byte sources for files on disk. */
import { createHash } from "node:crypto";
import { CheckpointError } from "../core/errors/errors.ts";
import { openRegularFile } from "../core/system/regular-file.node.ts";
import type { ByteSource } from "./byte-source.ts";

/** Maximum number of bytes that one call reads, because some systems refuse 2 GiB and more. */
const maxBytesPerCall = 2 ** 30;

const mustStay = "the file must not change while it is read";

/**
 * Opens a regular file. The source keeps reading this file, even if another file takes its name.
 * @param where the file's name in errors.
 * @param followLinks whether a link is followed, for example a link that the user named. Default: false.
 * @throws UnreadableFileError if the path is not a regular file. If the file cannot be opened, throws the operating
 * system's error.
 */
export const openFileSource = async (path: string, where: string, followLinks = false): Promise<ByteSource> => {
  const file = await openRegularFile(path, followLinks);
  const fail = (got: string, cause?: unknown): CheckpointError =>
    new CheckpointError({ where, must: mustStay, got, ...(cause === undefined ? {} : { cause }) });
  const { size, mtimeMs } = await file.stat();
  let closing: Promise<void> | undefined;
  return {
    size,
    async read(offset, length, into) {
      const bytes = into !== undefined && into.length >= length ? into.subarray(0, length) : new Uint8Array(length);
      for (let done = 0; done < length; ) {
        const { bytesRead } = await file
          .read(bytes, done, Math.min(length - done, maxBytesPerCall), offset + done)
          .catch((cause: unknown) => {
            const got = cause instanceof Error ? cause.message : String(cause);
            throw new CheckpointError({ where, must: "the file must be readable", got, cause });
          });
        if (bytesRead === 0) throw fail(`a file that ends after ${offset + done} of ${size} bytes`);
        done += bytesRead;
      }
      return bytes;
    },
    async end() {
      const now = await file.stat();
      if (now.size !== size || now.mtimeMs !== mtimeMs) throw fail("a file that was changed");
    },
    close() {
      closing ??= file.close();
      return closing;
    },
  };
};

/** Number of bytes per read when the source reads skipped bytes only to hash them. */
const pieceBytes = 2 ** 22;

/**
 * A source that compares a file with a SHA-256 while the file is read. Bytes must be hashed in the order of the file.
 * To hash the bytes that the caller skips, the source reads them too.
 * @param sha256 expected hash, hexadecimal.
 * @param differs makes the error that `end` throws if the hash differs.
 */
export const hashedSource = (source: ByteSource, sha256: string, differs: () => Error): ByteSource => {
  const hash = createHash("sha256");
  let hashed = 0;
  let found: string | undefined;
  const hashTo = async (offset: number): Promise<void> => {
    while (hashed < offset) {
      const bytes = await source.read(hashed, Math.min(pieceBytes, offset - hashed));
      hash.update(bytes);
      hashed += bytes.length;
    }
  };
  return {
    ...source,
    async read(offset, length, into) {
      await hashTo(offset);
      const bytes = await source.read(offset, length, into);
      // Skip bytes that are already hashed.
      if (offset + length > hashed) {
        hash.update(bytes.subarray(hashed - offset));
        hashed = offset + length;
      }
      return bytes;
    },
    async end() {
      await hashTo(source.size);
      found ??= hash.digest("hex");
      if (found !== sha256) throw differs();
    },
  };
};
