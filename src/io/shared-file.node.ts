/** A file that is to be in two folders: by a link where that is possible, which takes no room. */
import { constants } from "node:fs";
import { copyFile, link, open, realpath, stat } from "node:fs/promises";
import { digestOf } from "./digest.node.ts";
import type { FileDigest } from "./manifest.ts";

/** The contents of a file that stays where it is, too. */
export interface SharedFile {
  readonly kind: "shared";
  /** Its place. A link in it is followed. */
  readonly path: string;
  /** Most bytes that are copied, where the system can make no link: to another disk, or a file of somebody else. */
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
 * Makes a new file `to` with the contents of another: blocks that both share until one is written to, where the file system
 * has that; else a hard link, so a program that writes into the other file changes this one, too.
 * @returns its digest, of its bytes as they are now.
 * @throws the system's error.
 */
export const shareFile = async ({ path, mostCopied }: SharedFile, to: string): Promise<FileDigest> => {
  const from = await realpath(path);
  await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE)
    .catch(() => link(from, to))
    .catch((error: unknown) => copy(from, to, mostCopied, error));
  return digestOf(to);
};
