/** Puts one file into two folders. If possible, the second file is a link, which takes no disk space. */
import { constants } from "node:fs";
import { copyFile, link, open, realpath, stat } from "node:fs/promises";
import { digestOf } from "./digest.node.ts";
import type { FileDigest } from "./manifest.ts";

/** Contents of a file that also stays at its old path. */
export interface SharedFile {
  readonly kind: "shared";
  /** Path of the existing file. Links are followed. */
  readonly path: string;
  /**
   * Maximum size in bytes of a file that is copied if it cannot be linked. A link fails if the new file is on another
   * disk, or if another user owns the file.
   */
  readonly mostCopied: number;
}

const copy = async (from: string, to: string, mostCopied: number, cause: unknown): Promise<void> => {
  if ((await stat(from)).size > mostCopied) throw cause;
  await copyFile(from, to, constants.COPYFILE_EXCL);
  const file = await open(to, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
};

/**
 * Makes a new file `to` with the contents of another file. If the file system supports it, the two files share their
 * blocks until one of them is changed. Otherwise, the function makes a hard link. If a program then writes into the
 * other file, `to` changes too. If a link is not possible, the file is copied.
 * @returns the digest of the file's current bytes.
 * @throws the operating system's error.
 */
export const shareFile = async ({ path, mostCopied }: SharedFile, to: string): Promise<FileDigest> => {
  const from = await realpath(path);
  await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE)
    .catch(() => link(from, to))
    .catch((error: unknown) => copy(from, to, mostCopied, error));
  return digestOf(to);
};
