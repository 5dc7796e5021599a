import { type FileHandle, mkdir, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { systemErrorCode } from "../core/system-error.ts";

/** A file's contents; a list is written piece after piece. */
export type Contents = string | Uint8Array | readonly Uint8Array[];

/** Most bytes that one call reads or writes: some systems refuse 2 GiB and more. */
const maxBytesPerCall = 2 ** 30;

const pieces = (contents: Contents): readonly Uint8Array[] => {
  if (typeof contents === "string") return [new TextEncoder().encode(contents)];
  return contents instanceof Uint8Array ? [contents] : contents;
};

const writeAll = async (file: FileHandle, bytes: Uint8Array): Promise<void> => {
  for (let offset = 0; offset < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, offset, Math.min(bytes.length - offset, maxBytesPerCall));
    offset += bytesWritten;
  }
};

/** Writes a new file and returns when it is on the disk itself. @throws when the file exists. */
export const writeFlushed = async (path: string, contents: Contents): Promise<void> => {
  const file = await open(path, "wx");
  try {
    for (const piece of pieces(contents)) await writeAll(file, piece);
    await file.sync();
  } finally {
    await file.close();
  }
};

/** Puts a folder's entries (new names, renames) on the disk itself. Windows neither can nor needs to. */
export const flushFolder = async (path: string): Promise<void> => {
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
};

/** A whole file in a buffer of its own (so that numbers in it can be aligned), of any size that memory holds. */
export const readWhole = async (path: string): Promise<Uint8Array> => {
  const file = await open(path, "r");
  try {
    const bytes = new Uint8Array((await file.stat()).size);
    let offset = 0;
    while (offset < bytes.length) {
      const { bytesRead } = await file.read(bytes, offset, Math.min(bytes.length - offset, maxBytesPerCall), offset);
      if (bytesRead === 0) break;
      offset += bytesRead;
    }
    return bytes.subarray(0, offset);
  } finally {
    await file.close();
  }
};

/**
 * Makes a folder and what is missing above it. Not Node's own `recursive`: that tries for ever where the system
 * answers "no such folder" although the one above is there, as /proc does.
 */
export const makeFolders = async (path: string): Promise<void> => {
  const make = (): Promise<void> =>
    mkdir(path).catch(async (error: unknown) => {
      if (systemErrorCode(error) === "EEXIST" && (await stat(path)).isDirectory()) return;
      throw error;
    });
  await make().catch(async (error: unknown) => {
    if (systemErrorCode(error) !== "ENOENT" || dirname(path) === path) throw error;
    await makeFolders(dirname(path));
    await make();
  });
};
