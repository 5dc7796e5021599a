import { type FileHandle, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CheckpointError } from "../core/errors/errors.ts";
import { systemErrorCode } from "../core/errors/system-error.ts";
import { openRegularFile, UnreadableFileError } from "../core/system/regular-file.node.ts";
import { bytesOfFile, flushFolder, openToAppend, writeAll, writeFlushed } from "./files.node.ts";
import { parseLine } from "./json-line.ts";
import { temporaryName } from "./temporary-names.node.ts";

/** A file of JSON lines that grows at its end. */
export interface JsonLines {
  /** Adds one line, complete; awaiting is needed only to see an error. */
  append(value: unknown): Promise<void>;
  /** Returns when all lines so far are on the disk itself: call it before a checkpoint that depends on them. */
  flush(): Promise<void>;
  /** All that was written, from the file's beginning; also after somebody has deleted the file. */
  contents(): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

const lineOf = (value: unknown): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value)}\n`);

/** Opens `path` for appending and creates it if it is missing. */
export const openJsonLines = async (path: string): Promise<JsonLines> => {
  const file: FileHandle = await openToAppend(path);
  // Writes of one handle must not overlap, or lines could come out of order.
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

/** Longer lines are no events: they are left out, and never in memory. */
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

/** Undefined if there is no such file. */
const openLines = async (path: string): Promise<FileHandle | undefined> =>
  openRegularFile(path).catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw unreadable(path, error);
  });

/**
 * The lines of a file of any size, without their ends; a missing file has none. A line over `maxLineBytes` is empty.
 * @throws CheckpointError for a link, a pipe or a folder of that name, and if the system refuses.
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
  /** Without their ends. */
  readonly lines: readonly string[];
  /** Bytes of the file up to the end of the last of them. */
  readonly end: number;
}

/**
 * The lines of a file as `readLines`, many at a time, and only those that end: half a line is not read. For files with many
 * short lines, where waiting for each takes longer than reading it. Lines over `maxLineBytes` are left out.
 * @param from bytes to pass over: the end of a line.
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

/** The values of a file of JSON lines, in order. Lines that are no JSON are left out; a missing file has no lines. */
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

/** Many lines in one piece, so that not each costs a system call. */
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
 * Rewrites `path` with the lines that `keep` accepts, through a temporary file beside it: a kill leaves the old file or
 * the new one. A resumed run drops the lines past its checkpoint with it, since it will write them again.
 * @param more lines to add at the end, asked for after all others.
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
