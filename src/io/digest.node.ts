/** Computes the digest of a file's current bytes. The file is read piece by piece, so it may have any size. */
import { createHash } from "node:crypto";
import { openRegularFile } from "../core/system/regular-file.node.ts";
import { bytesOfFile } from "./files.node.ts";
import type { FileDigest } from "./manifest.ts";

/**
 * @throws UnreadableFileError if the path is not a regular file. If the file cannot be read, throws the operating
 * system's error.
 */
export const digestOf = async (path: string): Promise<FileDigest> => {
  const file = await openRegularFile(path);
  try {
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const piece of bytesOfFile(file)) {
      hash.update(piece);
      bytes += piece.length;
    }
    return { bytes, sha256: hash.digest("hex") };
  } finally {
    await file.close();
  }
};

/** Returns whether a file exists and has this digest. If the file's size differs, the file is not read. */
export const hasDigest = async (path: string, { bytes, sha256 }: FileDigest): Promise<boolean> => {
  try {
    const file = await openRegularFile(path);
    const { size } = await file.stat().finally(() => file.close());
    return size === bytes && (await digestOf(path)).sha256 === sha256;
  } catch {
    return false;
  }
};
