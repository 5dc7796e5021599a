import { fstatSync, write, writeSync } from "node:fs";
import { isatty } from "node:tty";
import { promisify } from "node:util";
import { ConfigError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { launchedRank } from "../../core/system/launched-rank.node.ts";
import { oneLine } from "../../core/text/one-line.ts";
import { exitStatus } from "./exit-status.ts";

/**
 * Standard output and error of the program. Standard output may end early in one of two ways:
 *
 * - its reader goes away (`| head`): nobody wants the rest, so nothing is said and the status is as it would be. Only an
 *   unfinished training saves, says how to resume and ends as SIGPIPE would end it;
 * - writing fails (the disk is full): the program says so at the end, with the status of a mistake.
 */

/** System errors when the other end of a pipe or a socket is gone. */
const goneCodes = ["EPIPE", "ECONNRESET", "EOF"];

/** How standard output ended: its reader is gone, or it failed. */
export type OutputEnd = "gone" | "failed";

let ended = false;
let failure: unknown;
let whenEnded: ((how: OutputEnd) => void) | undefined;
let wayOut = "another place for it, as a disk with more room";

/**
 * Called when standard output ends, so that no work is done for nothing. Later writes are dropped.
 */
export const onOutputEnd = (action: (how: OutputEnd) => void): void => {
  whenEnded = action;
};

/** A hint for the user if standard output failed; the default suggests another place. */
export const suggestAfterFailure = (hint: string): void => {
  wayOut = hint;
};

const end = (error: unknown): void => {
  if (ended) return;
  ended = true;
  const how = goneCodes.includes(systemErrorCode(error) ?? "") ? "gone" : "failed";
  if (how === "failed") failure = error;
  whenEnded?.(how);
};

/** The system's message, with its code first. */
const saidBy = (error: unknown): string => {
  const message = error instanceof Error ? error.message : String(error);
  const code = systemErrorCode(error) ?? "";
  return message.startsWith(code) ? message.replace(/, write$/u, "") : code;
};

/** At the very end, so that no earlier status is taken for the last one. */
const tellFailure = (): void => {
  if (failure === undefined) return;
  const error = new ConfigError({
    where: "standard output",
    must: "must take what is written",
    got: saidBy(failure),
    hint: wayOut,
  });
  writeNotice(`foretoken: ${error.message}`);
  const status = Number(process.exitCode ?? exitStatus.success);
  // The status of a signal, or of an error, says more.
  if (status === exitStatus.success) process.exitCode = exitStatus.mistake;
};

/** Call once, before anything is written. */
export const guardStandardStreams = (): void => {
  process.stdout.on("error", end);
  process.stderr.on("error", () => {});
  process.on("exit", tellFailure);
};

/** Whether standard output is a file or a device other than a terminal. */
const isFile = (): boolean => {
  try {
    const found = fstatSync(1);
    return !isatty(1) && (found.isFile() || found.isCharacterDevice() || found.isBlockDevice() || found.isDirectory());
  } catch {
    return false;
  }
};

let toFile: boolean | undefined;

/** Node's own stream for a file takes a short write, as on a disk that just became full, for a whole one. */
const writeWhole = (text: string): void => {
  const bytes = Buffer.from(text);
  for (let offset = 0; offset < bytes.length; ) {
    const written = writeSync(1, bytes, offset, bytes.length - offset);
    if (written === 0) throw new Error("nothing of it was taken");
    offset += written;
  }
};

let written = Promise.resolve();

/**
 * Writes without waiting: a launcher that ends its ranks reads nothing from them meanwhile, and a rank that waited for it
 * could not save.
 */
const writeLater = (text: string): void => {
  written = written
    .then(async () => {
      const bytes = Buffer.from(text);
      for (let offset = 0; offset < bytes.length && !ended; ) {
        offset += (await promisify(write)(1, bytes, offset, bytes.length - offset)).bytesWritten;
      }
    })
    .catch(end);
};

/** Writes to standard output; without a reader the text is dropped. */
export const writeOut = (text: string): void => {
  if (ended) return;
  if (launchedRank() !== null) {
    writeLater(text);
    return;
  }
  toFile ??= isFile();
  if (!toFile) {
    process.stdout.write(text);
    return;
  }
  try {
    writeWhole(text);
  } catch (error) {
    end(error);
  }
};

/**
 * A line for programs: JSON on standard output. JSON leaves most control characters as they are; escaped they mean the
 * same, and no terminal obeys them.
 */
export const writeJson = (value: unknown): void => writeOut(`${oneLine(JSON.stringify(value))}\n`);

/** A line for people that is not part of the result. Names in it may have any character: none moves a cursor. */
export const writeNotice = (line: string): void => {
  process.stderr.write(`${oneLine(line)}\n`);
};
