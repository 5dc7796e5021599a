/**
 * Writes server-sent events no faster than the client reads them:
 * https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
import type { ServerResponse } from "node:http";

/** Writes the events of one answer. */
export interface EventWriter {
  /**
   * Resolves when the client has read enough for the next event. @throws the signal's reason after the client has
   * disconnected.
   */
  write(data: unknown, event?: string): Promise<void>;
  /** Writes the last bytes of a stream unchanged, and ends the stream. */
  end(text?: string): void;
}

/** Milliseconds of silence after which a comment is sent to keep the connection alive. */
const heartbeatMs = 15_000;

/** @param signal is aborted when the client has disconnected. */
export const openEvents = (
  response: ServerResponse,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): EventWriter => {
  response.writeHead(200, {
    ...headers,
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
  });
  response.flushHeaders();
  const heartbeat = setInterval(() => {
    if (response.writableLength === 0) response.write(": still here\n\n");
  }, heartbeatMs);
  response.once("close", () => clearInterval(heartbeat));
  return {
    async write(data, event) {
      signal.throwIfAborted();
      heartbeat.refresh();
      const text = `${event === undefined ? "" : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`;
      if (response.write(text)) return;
      await new Promise<void>((resolve) => {
        const taken = (): void => {
          response.off("drain", taken);
          signal.removeEventListener("abort", taken);
          resolve();
        };
        response.once("drain", taken);
        signal.addEventListener("abort", taken);
      });
      signal.throwIfAborted();
    },
    end(text = "") {
      clearInterval(heartbeat);
      response.end(text);
    },
  };
};
