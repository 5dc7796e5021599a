/** Puts one file into two folders: by a link where possible, which takes no disk space. */
import { constants } from "node:fs";
import { copyFile, link, open, realpath, stat } from "node:fs/promises";
import { digestOf } from "./digest.node.ts";
import type { FileDigest } from "./manifest.ts";

/** Contents shared with a file that also stays in its own place. */
export interface SharedFile {
  readonly kind: "shared";
  /** Path of the existing file. Links are followed. */
  readonly path: string;
  /**
   * Maximum size in bytes of a file that is copied where no link is possible: to another disk, or of a file that
   * another user owns.
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
 * Makes a new file `to` with the contents of another file. If the file system supports it, both share blocks until one
 * is written to. Otherwise a hard link is made; then a program that writes into the other file changes this one too.
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
