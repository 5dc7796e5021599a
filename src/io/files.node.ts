import { constants } from "node:fs";
import { type FileHandle, mkdir, open, rename, rmdir, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { systemErrorCode } from "../core/errors/system-error.ts";
import { UnreadableFileError } from "../core/system/regular-file.node.ts";
import { temporaryName } from "./temporary-names.node.ts";

/** Contents of a file. Each piece is written before the next piece is requested. */
export type Contents = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** Number of bytes that one call reads. */
const pieceBytes = 2 ** 20;

/** Maximum number of bytes that one call writes, because some systems refuse 2 GiB and more. */
const maxBytesPerCall = 2 ** 30;

const piecesOf = (contents: Contents): Iterable<Uint8Array> | AsyncIterable<Uint8Array> => {
  if (typeof contents === "string") return [new TextEncoder().encode(contents)];
  return contents instanceof Uint8Array ? [contents] : contents;
};

/** Appends all `bytes` to the file. The loop is needed because one system call may write only some of the bytes. */
export const writeAll = async (file: FileHandle, bytes: Uint8Array): Promise<void> => {
  for (let offset = 0; offset < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, offset, Math.min(bytes.length - offset, maxBytesPerCall));
    offset += bytesWritten;
  }
};

/** Adds the file's name to a system error, because the system's message about an open file does not name the file. */
const naming = (path: string, error: unknown): unknown => {
  if (!(error instanceof Error) || systemErrorCode(error) === undefined || error.message.includes(path)) return error;
  return Object.assign(error, { message: `${error.message} '${path}'`, path });
};

/**
 * Writes a new file. Returns after it is flushed to disk.
 * @param onPiece gets each piece while it is being written.
 * @throws if a file or link with this name exists.
 */
export const writeFlushed = async (
  path: string,
  contents: Contents,
  onPiece?: (piece: Uint8Array) => void,
): Promise<void> => {
  const file = await open(path, "wx");
  try {
    for await (const piece of piecesOf(contents)) {
      const writing = writeAll(file, piece);
      onPiece?.(piece);
      await writing;
    }
    await file.sync();
  } catch (error) {
    throw naming(path, error);
  } finally {
    await file.close();
  }
};

/**
 * Flushes a folder's entries (new names, renames) to disk. Does nothing on Windows, where this is neither possible nor
 * needed.
 */
export const flushFolder = async (path: string): Promise<void> => {
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } catch (error) {
    throw naming(path, error);
  } finally {
    await folder.close();
  }
};

/**
 * Replaces a file atomically and flushes the new file to disk. After a kill or an error, either the old or the new file
 * is there. If `path` is a link, the link itself is replaced; the target of the link stays.
 */
export const replaceFile = async (path: string, contents: Contents): Promise<void> => {
  const temporary = join(dirname(path), temporaryName(basename(path)));
  try {
    await writeFlushed(temporary, contents);
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await flushFolder(dirname(path));
};

/** Yields the bytes of an open file from its beginning, for any current position in the file. */
export async function* bytesOfFile(file: FileHandle): AsyncGenerator<Uint8Array, void, undefined> {
  const buffer = new Uint8Array(pieceBytes);
  for (let position = 0; ; ) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.slice(0, bytesRead);
  }
}

/**
 * Opens a regular file for appending and reading; creates it if it is missing.
 * @throws UnreadableFileError if `path` is a link, a pipe or a device.
 */
export const openToAppend = async (path: string): Promise<FileHandle> => {
  const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
  const must = "the path must be a regular file that can be appended to";
  const file = await open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK).catch((error: unknown) => {
    const code = systemErrorCode(error);
    if (code === "ELOOP") throw new UnreadableFileError(must, "a link");
    if (code === "ENXIO") throw new UnreadableFileError(must, "something else");
    throw error;
  });
  try {
    if ((await file.stat()).isFile()) return file;
    throw new UnreadableFileError(must, "something else");
  } catch (error) {
    await file.close();
    throw error;
  }
};

/**
 * Creates a folder and its missing parent folders. Node's option `recursive` is not used: with it, Node never returns
 * if the system says "no such folder" although the parent exists, as in /proc.
 * @returns the created folders, the outermost folder first.
 * @throws the operating system's error, after removing the folders that were created.
 */
export const makeFolders = async (path: string): Promise<readonly string[]> => {
  const make = (): Promise<readonly string[]> =>
    mkdir(path).then(
      () => [path],
      async (error: unknown) => {
        if (systemErrorCode(error) === "EEXIST" && (await stat(path)).isDirectory()) return [];
        throw error;
      },
    );
  return make().catch(async (error: unknown) => {
    if (systemErrorCode(error) !== "ENOENT" || dirname(path) === path) throw error;
    const above = await makeFolders(dirname(path));
    try {
      return [...above, ...(await make())];
    } catch (again) {
      await removeEmptyFolders(above);
      throw again;
    }
  });
};

/** Removes the empty folders in `folders`, the last folder first. Removes folders that `makeFolders` created. */
export const removeEmptyFolders = async (folders: readonly string[]): Promise<void> => {
  for (const folder of [...folders].reverse()) await rmdir(folder).catch(() => undefined);
};
