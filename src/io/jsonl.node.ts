import { type FileHandle, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CheckpointError } from "../core/errors/errors.ts";
import { systemErrorCode } from "../core/errors/system-error.ts";
import { openRegularFile, UnreadableFileError } from "../core/system/regular-file.node.ts";
import { bytesOfFile, flushFolder, openToAppend, writeAll, writeFlushed } from "./files.node.ts";
import { parseLine } from "./json-line.ts";
import { temporaryName } from "./temporary-names.node.ts";

/** A file of JSON lines to append to. */
export interface JsonLines {
  /** Appends one complete line. Await the promise only to see an error. */
  append(value: unknown): Promise<void>;
  /**
   * Returns after all lines that were appended so far are flushed to disk. Call it before writing a checkpoint that
   * depends on these lines.
   */
  flush(): Promise<void>;
  /** Yields the file's contents from its beginning, even if the file has been deleted. */
  contents(): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

const lineOf = (value: unknown): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value)}\n`);

/** Opens `path` for appending; creates it if it is missing. */
export const openJsonLines = async (path: string): Promise<JsonLines> => {
  const file: FileHandle = await openToAppend(path);
  // Writes to one file handle must not overlap; otherwise the order of the lines could change.
  let last: Promise<unknown> = Promise.resolve();
  const after = (work: () => Promise<unknown>): Promise<void> => {
    const done = last.then(work).then(() => undefined);
    last = done.catch(() => undefined);
    return done;
  };
  return {
    append: (value) => after(async () => writeAll(file, lineOf(value))),
    flush: () => after(() => file.sync()),
    contents: () => bytesOfFile(file),
    close: () => after(() => file.close()),
  };
};

/**
 * Maximum length of a line in bytes. Longer lines are not events. The reader skips longer lines and does not store them
 * in memory.
 */
const maxLineBytes = 2 ** 24;
const pieceBytes = 2 ** 18;

const unreadable = (path: string, cause: unknown): CheckpointError => {
  const isKind = cause instanceof UnreadableFileError;
  return new CheckpointError({
    where: path,
    must: isKind ? cause.must : "the file must be readable",
    got: isKind ? cause.got : cause instanceof Error ? cause.message : String(cause),
    cause,
  });
};

/** Opens a file for reading. Returns undefined if the file does not exist. */
const openLines = async (path: string): Promise<FileHandle | undefined> =>
  openRegularFile(path).catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw unreadable(path, error);
  });

/**
 * Yields the lines of a file of any size, without line ends. A missing file has no lines. A line longer than
 * `maxLineBytes` is yielded as an empty line.
 * @throws CheckpointError if `path` is a link, a pipe or a folder, or cannot be read.
 */
export async function* readLines(path: string): AsyncGenerator<string, void, undefined> {
  const file = await openLines(path);
  if (file === undefined) return;
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(pieceBytes);
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  const keep = (part: Uint8Array): void => {
    restBytes += part.length;
    if (restBytes <= maxLineBytes) rest.push(part.slice());
    else rest = [];
  };
  const take = (): string => {
    const line = decoder.decode(Buffer.concat(rest));
    rest = [];
    restBytes = 0;
    return line;
  };
  try {
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, pieceBytes).catch((error: unknown) => {
        throw unreadable(path, error);
      });
      if (bytesRead === 0) break;
      const piece = buffer.subarray(0, bytesRead);
      let from = 0;
      for (let end = piece.indexOf(10); end !== -1; end = piece.indexOf(10, from)) {
        keep(piece.subarray(from, end));
        yield take();
        from = end + 1;
      }
      if (from < bytesRead) keep(piece.subarray(from));
    }
    if (restBytes > 0) yield take();
  } finally {
    await file.close();
  }
}

/** Lines that were read together. */
export interface LinePiece {
  /** Lines without line ends. */
  readonly lines: readonly string[];
  /** Offset in the file of the end of the last line. */
  readonly end: number;
}

/**
 * Yields the lines of a file like `readLines`, but in batches, and only complete lines. Use this function for files
 * with many short lines, because awaiting each line would take longer than reading it. Lines longer than `maxLineBytes`
 * are skipped.
 * @param from offset in bytes to start at. The offset must be the end of a line.
 */
export async function* readWholeLines(path: string, from = 0): AsyncGenerator<LinePiece, void, undefined> {
  const file = await openLines(path);
  if (file === undefined) return;
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(pieceBytes);
  let begun: Uint8Array[] = [];
  let begunBytes = 0;
  let at = from;
  try {
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, pieceBytes, at).catch((error: unknown) => {
        throw unreadable(path, error);
      });
      if (bytesRead === 0) return;
      const piece = buffer.subarray(0, bytesRead);
      const newline = piece.lastIndexOf(10);
      const tooLong = begunBytes + (newline === -1 ? bytesRead : piece.indexOf(10)) > maxLineBytes;
      if (tooLong) begun = [];
      if (newline !== -1) {
        const ended = piece.subarray(tooLong ? piece.indexOf(10) : 0, newline);
        const lines = decoder.decode(Buffer.concat([...begun, ended])).split("\n");
        begun = [];
        begunBytes = 0;
        yield { lines, end: at + newline + 1 };
      }
      const rest = piece.subarray(newline + 1);
      begunBytes += rest.length;
      if (!tooLong || newline !== -1) begun.push(rest.slice());
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
}

/**
 * Yields the values of a file of JSON lines, in order. Lines that are not JSON are skipped. A missing file has no
 * lines.
 */
export async function* readJsonLines(path: string): AsyncGenerator<unknown, void, undefined> {
  for await (const line of readLines(path)) {
    const value = parseLine(line);
    if (value !== undefined) yield value;
  }
}

async function* keptLines(
  path: string,
  keep: (value: unknown) => boolean,
  more: () => readonly unknown[],
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const value of readJsonLines(path)) if (keep(value)) yield lineOf(value);
  for (const value of more()) yield lineOf(value);
}

/** Joins many lines into one piece, so that there are fewer system calls. */
async function* inPieces(lines: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let held: Uint8Array[] = [];
  let bytes = 0;
  for await (const line of lines) {
    held.push(line);
    bytes += line.length;
    if (bytes < pieceBytes) continue;
    yield Buffer.concat(held);
    held = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(held);
}

/**
 * Replaces `path` with a file that has only the lines that `keep` accepts. The replacement is atomic: after a kill,
 * either the old or the new file is there. A resumed run uses this function to remove the lines after its checkpoint,
 * because the run will write these lines again.
 * @param more returns lines to add at the end. The function calls `more` after all other lines are written.
 */
export const filterJsonLines = async (
  path: string,
  keep: (value: unknown) => boolean,
  more: () => readonly unknown[] = () => [],
): Promise<void> => {
  const temporary = join(dirname(path), temporaryName(basename(path)));
  try {
    await writeFlushed(temporary, inPieces(keptLines(path, keep, more)));
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await flushFolder(dirname(path));
};
