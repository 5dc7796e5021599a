import { constants } from "node:fs";
import { type FileHandle, lstat, mkdir, open, rename, rmdir, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { systemErrorCode } from "../core/errors/system-error.ts";
import { UnreadableFileError } from "../core/system/regular-file.node.ts";
import { temporaryName } from "./temporary-names.node.ts";

/** A file's contents; each of several pieces is written before the next is asked for. */
export type Contents = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** Bytes that one call reads. */
const pieceBytes = 2 ** 20;

/** Most bytes that one call writes: some systems refuse 2 GiB and more. */
const maxBytesPerCall = 2 ** 30;

const piecesOf = (contents: Contents): Iterable<Uint8Array> | AsyncIterable<Uint8Array> => {
  if (typeof contents === "string") return [new TextEncoder().encode(contents)];
  return contents instanceof Uint8Array ? [contents] : contents;
};

/** Whether a regular file is at `path`, and no link to one. */
export const isRegularFile = async (path: string): Promise<boolean> =>
  lstat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/** Whether a regular file, or a link to one, is at `path`. */
export const isFile = async (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/** Writes all of `bytes` at the file's end; a system may take only a part of them per call. */
export const writeAll = async (file: FileHandle, bytes: Uint8Array): Promise<void> => {
  for (let offset = 0; offset < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, offset, Math.min(bytes.length - offset, maxBytesPerCall));
    offset += bytesWritten;
  }
};

/** A system's error with the file's name: for an open file the system does not name it. */
const naming = (path: string, error: unknown): unknown => {
  if (!(error instanceof Error) || systemErrorCode(error) === undefined || error.message.includes(path)) return error;
  return Object.assign(error, { message: `${error.message} '${path}'`, path });
};

/**
 * Writes a new file and returns when it is on the disk itself.
 * @param onPiece gets each piece while it is being written.
 * @throws if there is a file or a link of that name.
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

/** Puts a folder's entries (new names, renames) on the disk itself. Windows neither can nor needs to. */
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
 * Puts a file in its place, complete and flushed: a kill or an error leaves the old one or the new one. A link of that
 * name is replaced itself; its target stays.
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

/** The bytes of an open file from its beginning, wherever it is read or written meanwhile. */
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
 * Opens a regular file to append to it, and to read it; creates it if it is missing.
 * @throws UnreadableFileError for a link, a pipe or a device of that name.
 */
export const openToAppend = async (path: string): Promise<FileHandle> => {
  const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
  const must = "the path must be a regular file, to be added to";
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
 * Makes a folder and the missing folders above it. Not Node's own `recursive`: that tries for ever if the system answers
 * "no such folder" although the one above is there, as /proc does.
 * @returns the folders that it made, the outermost first.
 * @throws the system's error; the folders that it made by then are removed again.
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

/** Removes the empty ones of `folders`, the last first: the folders of `makeFolders`. */
export const removeEmptyFolders = async (folders: readonly string[]): Promise<void> => {
  for (const folder of [...folders].reverse()) await rmdir(folder).catch(() => undefined);
};
