/** Server-sent events over fetch. EventSource cannot send POST requests and cannot reconnect at any offset. */
import { computed, signal } from "@preact/signals";
import type { Failure } from "../../src/serve/studio/protocol.ts";
import { authorization } from "../shell/token.ts";
import { failureOf, jsonBody } from "./request.ts";

export interface ServerEvent {
  readonly name: string;
  readonly data: string;
  readonly id: string;
}

/** Fields of one event, from its lines. Undefined for a comment that only keeps the connection open. */
const parseBlock = (block: string): ServerEvent | undefined => {
  let name = "message";
  let id = "";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") name = value;
    else if (field === "data") data.push(value);
    else if (field === "id") id = value;
  }
  return data.length === 0 && name === "message" ? undefined : { name, id, data: data.join("\n") };
};

/** Yields the events of a response as they arrive. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent, void, undefined> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest = (rest + value).replaceAll("\r\n", "\n");
      const blocks = rest.split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const event = parseBlock(block);
        if (event !== undefined) yield event;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/**
 * Sends a POST request whose response is a stream of events. Passes the data of each event to `onEvent`.
 * @returns why the server refused the request. Undefined if the stream has ended.
 * @throws if the connection is lost, or if `abort` fires.
 */
export const postForEvents = async <Data>(
  path: string,
  body: unknown,
  abort: AbortSignal,
  onData: (data: Data) => void,
): Promise<Failure | undefined> => {
  const init = jsonBody(body);
  const headers = { ...init.headers, ...(await authorization()) };
  const response = await fetch(path, { ...init, headers, signal: abort });
  if (!response.ok || response.body === null) return failureOf(response);
  for await (const { data } of readEvents(response.body)) if (data !== "") onData(JSON.parse(data) as Data);
  return undefined;
};

/** Number of streams that wait to reconnect. */
export const lostStreams = signal(0);
/** Whether the studio refuses the token, because the studio was restarted and has a new token. */
export const isRefused = signal(false);
/** Whether the page may be out of date. */
export const isLost = computed(() => lostStreams.value > 0 || isRefused.value);

const longestWait = 8000;

/** Resolves after a time, or immediately when `abort` fires. */
const wait = (milliseconds: number, abort: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    abort.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });

const untilVisible = (abort: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const look = () => {
      if (document.hidden && !abort.aborted) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    abort.addEventListener("abort", look);
    look();
  });

/**
 * Aborts when `outer` aborts or the page is hidden. A browser allows six connections to a server, for all tabs
 * together.
 */
const whileVisible = (outer: AbortSignal): { readonly signal: AbortSignal; readonly end: () => void } => {
  const controller = new AbortController();
  const stop = () => controller.abort();
  const look = () => {
    if (document.hidden) stop();
  };
  outer.addEventListener("abort", stop);
  document.addEventListener("visibilitychange", look);
  return {
    signal: controller.signal,
    end: () => {
      outer.removeEventListener("abort", stop);
      document.removeEventListener("visibilitychange", look);
    },
  };
};

export interface Following {
  /** Address for the next connection, with the current offset. */
  readonly address: () => string;
  readonly onEvent: (event: ServerEvent) => void;
  /** Called when the server refuses the stream. The stream is not retried. */
  readonly onRefused: (error: string, status: number) => void;
}

const connectOnce = async ({ address, onEvent, onRefused }: Following, signal: AbortSignal): Promise<boolean> => {
  const response = await fetch(address(), {
    signal,
    headers: { Accept: "text/event-stream", ...(await authorization()) },
  });
  isRefused.value = response.status === 401;
  if (response.status >= 400 && response.status < 500) {
    onRefused((await failureOf(response)).error, response.status);
    return false;
  }
  if (!response.ok || response.body === null) throw new Error(`status ${response.status}`);
  for await (const event of readEvents(response.body)) {
    if (signal.aborted) break;
    onEvent(event);
  }
  return true;
};

/** Keeps a stream open until `abort` fires. After a lost connection, it reconnects. The delays grow. */
export const followEvents = async (following: Following, abort: AbortSignal): Promise<void> => {
  let delay = 500;
  let lost = false;
  const note = (isLost: boolean) => {
    if (isLost !== lost) lostStreams.value += isLost ? 1 : -1;
    lost = isLost;
  };
  const onEvent = (event: ServerEvent) => {
    delay = 500;
    note(false);
    following.onEvent(event);
  };
  while (!abort.aborted) {
    await untilVisible(abort);
    if (abort.aborted) break;
    const visible = whileVisible(abort);
    try {
      if (!(await connectOnce({ ...following, onEvent }, visible.signal))) break;
    } catch {
      // The connection is lost or was never made. The next round tries again.
    }
    visible.end();
    if (abort.aborted || document.hidden) continue;
    note(true);
    await wait(delay, abort);
    delay = Math.min(longestWait, delay * 2);
  }
  note(false);
};
