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

/** Standard output of one command. */
interface Standard {
  ended: boolean;
  failure: unknown;
  whenEnded: (how: OutputEnd) => void;
  wayOut: string;
  /** Descriptor of a file or a device other than a terminal; null: it is neither; undefined: not looked at yet. */
  file: number | null | undefined;
  /** What `writeLater` has to do. */
  written: Promise<void>;
}

const unused = (): Standard => ({
  ended: false,
  failure: undefined,
  whenEnded: () => {},
  wayOut: "another place for the output, such as a disk with more room",
  file: undefined,
  written: Promise.resolve(),
});

let standard = unused();

/**
 * Called when standard output ends, so that no work is done for nothing. Later writes are dropped.
 */
export const onOutputEnd = (action: (how: OutputEnd) => void): void => {
  standard.whenEnded = action;
};

/** A hint for the user if standard output failed; the default suggests another place. */
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

/** The system's message, with its code first. */
const saidBy = (error: unknown): string => {
  const message = error instanceof Error ? error.message : String(error);
  const code = systemErrorCode(error) ?? "";
  return message.startsWith(code) ? message.replace(/, write$/u, "") : code;
};

/** At the very end, so that no earlier status is taken for the last one. */
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
  // The status of a signal, or of an error, says more.
  if (status === exitStatus.success) host.exitCode = exitStatus.mistake;
};

/** Makes `given` the place that the next command runs in. Call it before anything is written. */
export const enterHost = (given: Host): void => {
  setHost(given);
  const output = unused();
  standard = output;
  given.stdout.on("error", (error) => end(output, error));
  given.stderr.on("error", () => {});
  given.on("exit", tellFailure);
};

/** The descriptor of standard output, if it is a file or a device other than a terminal. */
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

/** Node's own stream for a file takes a short write, as on a disk that just became full, for a whole one. */
const writeWhole = (descriptor: number, text: string): void => {
  const bytes = Buffer.from(text);
  for (let offset = 0; offset < bytes.length; ) {
    const written = writeSync(descriptor, bytes, offset, bytes.length - offset);
    if (written === 0) throw new Error("no byte was written");
    offset += written;
  }
};

/**
 * Writes without waiting: a launcher that ends its ranks reads nothing from them meanwhile, and a rank that waited for it
 * could not save.
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

/** Writes to standard output; without a reader the text is dropped. */
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
 * A line for programs: JSON on standard output. JSON leaves most control characters as they are; escaped they mean the
 * same, and no terminal obeys them.
 */
export const writeJson = (value: unknown): void => writeOut(`${oneLine(JSON.stringify(value))}\n`);

/** A line for people that is not part of the result. Names in it may have any character: none moves a cursor. */
export const writeNotice = (line: string): void => {
  host.stderr.write(`${oneLine(line)}\n`);
};
