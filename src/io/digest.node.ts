/** A file's digest, of its bytes as they are now; it is read piece by piece, whatever its size. */
import { createHash } from "node:crypto";
import { openRegularFile } from "../core/system/regular-file.node.ts";
import { bytesOfFile } from "./files.node.ts";
import type { FileDigest } from "./manifest.ts";

/** @throws UnreadableFileError for other than a regular file; the system's own error if it refuses. */
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

/** Whether a file is there with this digest. One of another size is not read. */
export const hasDigest = async (path: string, { bytes, sha256 }: FileDigest): Promise<boolean> => {
  try {
    const file = await openRegularFile(path);
    const { size } = await file.stat().finally(() => file.close());
    return size === bytes && (await digestOf(path)).sha256 === sha256;
  } catch {
    return false;
  }
};
