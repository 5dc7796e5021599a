/** Server-sent events, written as a client takes them: https://html.spec.whatwg.org/multipage/server-sent-events.html */
import type { ServerResponse } from "node:http";

/** Writes the events of one answer. */
export interface EventWriter {
  /** Ends when the client has taken enough for more. @throws the signal's reason once the client has gone. */
  write(data: unknown, event?: string): Promise<void>;
  /** The last words of a stream, as they are. */
  end(text?: string): void;
}

/** Milliseconds of silence after which a comment says that the connection is there. */
const heartbeatMs = 15_000;

/** @param signal is aborted when the client has gone. */
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
