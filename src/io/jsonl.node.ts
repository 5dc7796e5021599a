import { type FileHandle, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { systemErrorCode } from "../core/system-error.ts";
import { flushFolder, writeFlushed } from "./files.node.ts";

/** A file of JSON lines that grows at its end. */
export interface JsonLines {
  /** Adds one line, whole; awaiting is needed only to see an error. */
  append(value: unknown): Promise<void>;
  /** Returns when all lines so far are on the disk itself: call it before a checkpoint that counts on them. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Opens `path` for appending and makes it where it is missing. */
export const openJsonLines = async (path: string): Promise<JsonLines> => {
  const file: FileHandle = await open(path, "a");
  // Writes of one handle must not overlap, or lines could come out of order.
  let last: Promise<unknown> = Promise.resolve();
  const after = (work: () => Promise<unknown>): Promise<void> => {
    const done = last.then(work).then(() => undefined);
    last = done.catch(() => undefined);
    return done;
  };
  return {
    append: (value) => after(() => file.appendFile(`${JSON.stringify(value)}\n`)),
    flush: () => after(() => file.sync()),
    close: () => after(() => file.close()),
  };
};

/** A line's value, or undefined for one that a killed process left half written. */
const parseLine = (line: string): unknown => {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
};

/** The values of a file of JSON lines, in order. Lines that are no JSON, as a last one cut off, are left out; no file is no lines. */
export const readJsonLines = async (path: string): Promise<unknown[]> => {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  }
  return text
    .split("\n")
    .map(parseLine)
    .filter((value) => value !== undefined);
};

/**
 * Rewrites `path` with the lines that `keep` accepts, by way of a temporary file beside it: a kill leaves the old
 * file or the new one. A resumed run drops the lines past its checkpoint with it, since it will write them again.
 */
export const filterJsonLines = async (path: string, keep: (value: unknown) => boolean): Promise<void> => {
  const values = (await readJsonLines(path)).filter(keep);
  const temporary = `${path}.tmp`;
  await rm(temporary, { force: true });
  await writeFlushed(temporary, values.map((value) => `${JSON.stringify(value)}\n`).join(""));
  await rename(temporary, path);
  await flushFolder(dirname(path));
};
