/** Log with one line of JSON for each request. The log contains neither prompts nor texts. */
import { createWriteStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import type { Writable } from "node:stream";
import { ConfigError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";

/** Log entry of a request. */
export interface RequestNote {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly ms: number;
  /** Identifies the API key. Null: no key was needed, or the request had no key. */
  readonly key: string | null;
  readonly model?: string | undefined;
  readonly promptTokens?: number | undefined;
  readonly newTokens?: number | undefined;
  readonly firstTokenMs?: number | undefined;
  /** Whether the client disconnected before the end of the response. */
  readonly left?: true | undefined;
  /** Error message. */
  readonly error?: string | undefined;
}

export interface RequestLog {
  note(request: RequestNote): void;
  /** Resolves when all lines are written, or after 2 seconds. */
  close(): Promise<void>;
}

/** Maximum number of milliseconds to wait for the last lines. */
const lastWordsMs = 2000;

/**
 * Checks that lines can be appended to a file.
 * @throws ConfigError
 */
export const checkLogFile = async (path: string): Promise<void> => {
  const refuse = (got: string, cause?: unknown): never => {
    throw new ConfigError({ where: `--log ${path}`, must: "must be a file that lines can be appended to", got, cause });
  };
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() === true) refuse("a folder");
  // Refuse a pipe, because opening it would block until another process reads it.
  if (found !== undefined && !found.isFile() && !found.isCharacterDevice()) refuse("a pipe, or another special file");
  try {
    await (await open(path, "a")).close();
  } catch (error) {
    refuse(systemErrorCode(error) ?? String(error), error);
  }
};

/** Maximum number of bytes that wait for writing. Because of this limit, a full disk does not use up the memory. */
const mostWaiting = 2 ** 20;

/**
 * @param to path of a file to append to, or a stream. Null: no log.
 * @param tell gets one line for the user if log lines are lost.
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
      if (stream.writableLength > mostWaiting) return lose("the disk or the program that reads the log is too slow");
      stream.write(`${JSON.stringify({ time: new Date().toISOString(), ...request })}\n`);
    },
    close: () =>
      new Promise((resolve) => {
        if (!isFile || stream.destroyed) return resolve();
        stream.once("close", resolve);
        stream.end();
        // A disk that does not respond must not block the shutdown.
        setTimeout(resolve, lastWordsMs).unref();
      }),
  };
};
