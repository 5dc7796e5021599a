import { fstatSync, write, writeSync } from "node:fs";
import { isatty } from "node:tty";
import { promisify } from "node:util";
import { ConfigError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { launchedRank } from "../../core/system/launched-rank.node.ts";
import { oneLine } from "../../core/text/one-line.ts";
import { exitStatus } from "./exit-status.ts";
import { type Host, host, setHost } from "./host.ts";

/**
 * Standard output and standard error of the program. Standard output may end early in two ways:
 *
 * - The reader goes away (`| head`). Nothing is reported, and the status does not change. But unfinished training
 *   saves, prints how to resume, and ends with the status of SIGPIPE.
 * - Writing fails (the disk is full). The program reports the failure at the end, with the status of a mistake.
 */

/** System errors for a pipe or socket that is closed at its other end. */
const goneCodes = ["EPIPE", "ECONNRESET", "EOF"];

/** The reason why standard output ended: its reader went away, or writing failed. */
export type OutputEnd = "gone" | "failed";

/** Standard output of a command. */
interface Standard {
  ended: boolean;
  failure: unknown;
  whenEnded: (how: OutputEnd) => void;
  wayOut: string;
  /**
   * Descriptor of the output, if it is a file or a device other than a terminal. Null for any other output. Undefined
   * before the first check.
   */
  file: number | null | undefined;
  /** Resolves when `writeLater` has written everything. */
  written: Promise<void>;
}

const unused = (): Standard => ({
  ended: false,
  failure: undefined,
  whenEnded: () => {},
  wayOut: "another place for the output, such as a disk with more free space",
  file: undefined,
  written: Promise.resolve(),
});

let standard = unused();

/**
 * Sets a function that is called when standard output ends. The command can then stop its work. Later output is
 * dropped.
 */
export const onOutputEnd = (action: (how: OutputEnd) => void): void => {
  standard.whenEnded = action;
};

/** Sets the hint for an error of writing to standard output. The default hint suggests another place. */
export const suggestAfterFailure = (hint: string): void => {
  standard.wayOut = hint;
};

const end = (output: Standard, error: unknown): void => {
  if (output.ended) return;
  output.ended = true;
  const how = goneCodes.includes(systemErrorCode(error) ?? "") ? "gone" : "failed";
  if (how === "failed") output.failure = error;
  output.whenEnded(how);
};

/** The system's message, beginning with its error code. */
const saidBy = (error: unknown): string => {
  const message = error instanceof Error ? error.message : String(error);
  const code = systemErrorCode(error) ?? "";
  return message.startsWith(code) ? message.replace(/, write$/u, "") : code;
};

/** Runs at exit, when no other code can change the status. */
const tellFailure = (): void => {
  const { failure, wayOut } = standard;
  if (failure === undefined) return;
  const error = new ConfigError({
    where: "standard output",
    must: "must accept all output",
    got: saidBy(failure),
    hint: wayOut,
  });
  writeNotice(`foretoken: ${error.message}`);
  const status = Number(host.exitCode ?? exitStatus.success);
  // Keep a status from a signal or an error, because it is more specific.
  if (status === exitStatus.success) host.exitCode = exitStatus.mistake;
};

/** Sets the host of the next command. Call it before the first output. */
export const enterHost = (given: Host): void => {
  setHost(given);
  const output = unused();
  standard = output;
  given.stdout.on("error", (error) => end(output, error));
  given.stderr.on("error", () => {});
  given.on("exit", tellFailure);
};

/** Descriptor of standard output, if it is a file or a device other than a terminal. Otherwise null. */
const fileOf = ({ fd }: { readonly fd?: number }): number | null => {
  if (fd === undefined) return null;
  try {
    const found = fstatSync(fd);
    const isFile = found.isFile() || found.isCharacterDevice() || found.isBlockDevice() || found.isDirectory();
    return isFile && !isatty(fd) ? fd : null;
  } catch {
    return null;
  }
};

/**
 * Writes the whole text. If the system writes only a part (as on a disk that becomes full), Node's own stream for a
 * file reports no error.
 */
const writeWhole = (descriptor: number, text: string): void => {
  const bytes = Buffer.from(text);
  for (let offset = 0; offset < bytes.length; ) {
    const written = writeSync(descriptor, bytes, offset, bytes.length - offset);
    if (written === 0) throw new Error("no byte was written");
    offset += written;
  }
};

/**
 * Writes asynchronously. A launcher that ends its ranks no longer reads their output. A rank that waits for its output
 * could not save its run.
 */
const writeLater = (output: Standard, text: string): void => {
  output.written = output.written
    .then(async () => {
      const bytes = Buffer.from(text);
      for (let offset = 0; offset < bytes.length && !output.ended; ) {
        offset += (await promisify(write)(1, bytes, offset, bytes.length - offset)).bytesWritten;
      }
    })
    .catch((error: unknown) => end(output, error));
};

/** Writes to standard output. The text is dropped if the output has ended. */
export const writeOut = (text: string): void => {
  const output = standard;
  if (output.ended) return;
  if (launchedRank() !== null) {
    writeLater(output, text);
    return;
  }
  if (output.file === undefined) output.file = fileOf(host.stdout);
  if (output.file === null) {
    host.stdout.write(text);
    return;
  }
  try {
    writeWhole(output.file, text);
  } catch (error) {
    end(output, error);
  }
};

/**
 * Writes JSON as one line to standard output. Control characters that JSON allows are escaped too. An escaped character
 * has the same meaning, and a terminal does not execute it.
 */
export const writeJson = (value: unknown): void => writeOut(`${oneLine(JSON.stringify(value))}\n`);

/**
 * Writes a line for people to standard error. The line is not part of the result. Its control characters are escaped.
 */
export const writeNotice = (line: string): void => {
  host.stderr.write(`${oneLine(line)}\n`);
};
