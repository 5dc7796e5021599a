/**
 * Server-sent events that are made on demand. The next events are made when the client has read the previous events. So
 * a client that does not read uses no memory. Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */

import { failureOf } from "./json.ts";

/** An event. The event's data is written as JSON, which has no line breaks. */
export interface ServerEvent {
  readonly event?: string;
  readonly id?: string;
  readonly data: unknown;
}

/**
 * Time between heartbeats on a quiet connection. Without heartbeats, proxies and sleeping laptops would close the
 * connection.
 */
const heartbeatMs = 15_000;

const encoder = new TextEncoder();

const textOf = ({ event, id, data }: ServerEvent): string =>
  `${event === undefined ? "" : `event: ${event}\n`}${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;

/** Returns the result of `pending`, or undefined if there is no result after `ms` milliseconds. */
const within = async <T>(pending: Promise<T>, ms: number): Promise<T | undefined> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([pending, late]);
  } finally {
    clearTimeout(timer);
  }
};

/**
 * A response that streams events. If the source fails, the last event is `event: failed` with the error.
 * @param source makes the events, several at a time. The source's signal is aborted when the connection ends.
 */
export const eventAnswer = (
  source: (signal: AbortSignal) => AsyncGenerator<readonly ServerEvent[], void, undefined>,
): Response => {
  const controller = new AbortController();
  const events = source(controller.signal);
  let pending: Promise<IteratorResult<readonly ServerEvent[], void>> | undefined;
  const body = new ReadableStream<Uint8Array>(
    {
      start(stream) {
        // Send this at once, so that the client knows that it is connected.
        stream.enqueue(encoder.encode(": connected\n\n"));
      },
      async pull(stream) {
        pending ??= events.next();
        try {
          const next = await within(pending, heartbeatMs);
          if (next === undefined) {
            stream.enqueue(encoder.encode(": still here\n\n"));
            return;
          }
          pending = undefined;
          if (next.done === true) stream.close();
          else stream.enqueue(encoder.encode(next.value.map(textOf).join("")));
        } catch (error) {
          if (controller.signal.aborted) return;
          stream.enqueue(encoder.encode(textOf({ event: "failed", data: failureOf(error) })));
          stream.close();
        }
      },
      async cancel() {
        controller.abort();
        await events.return();
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, {
    headers: {
      "Content-Type": "text/event-stream; charset=utf-8",
      "Cache-Control": "no-store",
      "X-Accel-Buffering": "no",
    },
  });
};
