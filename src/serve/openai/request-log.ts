/** A line of JSON for each request. It has neither prompts nor texts. */
import { createWriteStream } from "node:fs";
import type { Writable } from "node:stream";

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
      }),
  };
};
