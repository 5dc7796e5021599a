/** A line of JSON for each request. It has neither prompts nor texts. */
import { createWriteStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import type { Writable } from "node:stream";
import { ConfigError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";

/** What is noted of a request. */
export interface RequestNote {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly ms: number;
  /** Which key asked; null: none was needed, or given. */
  readonly key: string | null;
  readonly model?: string | undefined;
  readonly promptTokens?: number | undefined;
  readonly newTokens?: number | undefined;
  readonly firstTokenMs?: number | undefined;
  /** The client left before the end. */
  readonly left?: true | undefined;
  /** Line of the error. */
  readonly error?: string | undefined;
}

export interface RequestLog {
  note(request: RequestNote): void;
  /** Ends when all lines are written. */
  close(): Promise<void>;
}

/** Milliseconds for the last lines. */
const lastWordsMs = 2000;

/**
 * Fails for a file that lines cannot be added to.
 * @throws ConfigError
 */
export const checkLogFile = async (path: string): Promise<void> => {
  const refuse = (got: string, cause?: unknown): never => {
    throw new ConfigError({ where: `--log ${path}`, must: "must be a file that lines can be added to", got, cause });
  };
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() === true) refuse("a folder");
  // A pipe would be waited for until somebody reads it.
  if (found !== undefined && !found.isFile() && !found.isCharacterDevice()) refuse("a pipe, or another special file");
  try {
    await (await open(path, "a")).close();
  } catch (error) {
    refuse(systemErrorCode(error) ?? String(error), error);
  }
};

/** Bytes that may wait to be written: a disk that is full must not cost memory. */
const mostWaiting = 2 ** 20;

/**
 * @param to a file, to whose end lines are added; a stream; null: nothing is noted.
 * @param tell gets a line for people, once, if lines are lost.
 */
export const createRequestLog = (to: string | Writable | null, tell: (line: string) => void): RequestLog => {
  if (to === null) return { note() {}, close: async () => {} };
  const isFile = typeof to === "string";
  const stream = isFile ? createWriteStream(to, { flags: "a" }) : to;
  let isLost = false;
  const lose = (why: string): void => {
    if (!isLost) tell(`lines of the log are lost: ${why}`);
    isLost = true;
  };
  stream.on("error", (error: Error) => lose(error.message));
  return {
    note(request) {
      if (stream.destroyed) return;
      if (stream.writableLength > mostWaiting) return lose("they are written too slowly");
      stream.write(`${JSON.stringify({ time: new Date().toISOString(), ...request })}\n`);
    },
    close: () =>
      new Promise((resolve) => {
        if (!isFile || stream.destroyed) return resolve();
        stream.once("close", resolve);
        stream.end();
        // A disk that does not answer keeps nobody.
        setTimeout(resolve, lastWordsMs).unref();
      }),
  };
};
