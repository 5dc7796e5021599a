/** Digest of a file's current bytes. A file of any size is read piece by piece. */
import { createHash } from "node:crypto";
import { openRegularFile } from "../core/system/regular-file.node.ts";
import { bytesOfFile } from "./files.node.ts";
import type { FileDigest } from "./manifest.ts";

/** @throws UnreadableFileError if it is not a regular file; the operating system's own error if it cannot be read. */
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

/** Whether a file exists and has this digest. A file of another size is not read. */
export const hasDigest = async (path: string, { bytes, sha256 }: FileDigest): Promise<boolean> => {
  try {
    const file = await openRegularFile(path);
    const { size } = await file.stat().finally(() => file.close());
    return size === bytes && (await digestOf(path)).sha256 === sha256;
  } catch {
    return false;
  }
};
