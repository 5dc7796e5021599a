/** Byte sources for files at web addresses. */
import { CheckpointError } from "../core/errors/errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { memorySource } from "./byte-source.ts";

const notServed = (where: string, got: string, cause?: unknown): CheckpointError =>
  new CheckpointError({
    ...{ where, must: "the server must have the file", got },
    ...(cause === undefined ? {} : { cause }),
  });

const get = async (where: string, headers: Record<string, string> = {}): Promise<Response> => {
  try {
    return await fetch(where, { headers });
  } catch (cause) {
    throw notServed(where, "no answer", cause);
  }
};

const isPage = (response: Response): boolean => response.headers.get("Content-Type")?.startsWith("text/html") === true;

/**
 * Returns the contents of a small file, or undefined if the server does not have the file. An HTML page counts as a
 * missing file, because some servers send a page instead of an error.
 * @throws CheckpointError if the server does not answer.
 */
export const fetchIfThere = async (where: string): Promise<Uint8Array | undefined> => {
  const response = await get(where);
  if (response.ok && !isPage(response)) return new Uint8Array(await response.arrayBuffer());
  await response.body?.cancel();
  return undefined;
};

/** Returns the contents of a file. @throws CheckpointError if the server does not have the file. */
export const fetchWhole = async (where: string): Promise<Uint8Array> => {
  const response = await get(where);
  if (response.ok) return new Uint8Array(await response.arrayBuffer());
  throw notServed(where, `status ${response.status}`);
};

/** A response body that is read from beginning to end. */
interface Stream {
  /** Reads the next bytes. Only bytes that the server has already sent are in memory. */
  take(length: number): Promise<Uint8Array>;
  cancel(): Promise<void>;
  readonly at: number;
}

const streamOf = (body: ReadableStream<Uint8Array>, where: string, from: number): Stream => {
  const reader = body.getReader();
  let rest = new Uint8Array();
  let at = from;
  return {
    get at() {
      return at;
    },
    async take(length) {
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length; ) {
        if (rest.length === 0) {
          const { value, done: ended } = await reader.read().catch((cause: unknown) => {
            throw notServed(where, `a response that ended after ${at} bytes`, cause);
          });
          if (ended) throw notServed(where, `a file that ends after ${at} bytes`);
          rest = value as Uint8Array<ArrayBuffer>;
        }
        const part = rest.subarray(0, length - done);
        bytes.set(part, done);
        rest = rest.subarray(part.length);
        done += part.length;
        at += part.length;
      }
      return bytes;
    },
    cancel: () => reader.cancel().catch(() => {}),
  };
};

/** Maximum number of bytes per read when the source discards bytes to reach a later offset. */
const skipBytes = 2 ** 20;

/**
 * Reads a file at a web address from beginning to end in one request, while the bytes arrive. After a pause, the source
 * sends a new request for the remaining bytes. The source also sends a new request to read an earlier offset. A file of
 * unknown length is read as a whole.
 * @throws CheckpointError if the server does not have the file.
 */
export const addressSource = async (where: string): Promise<ByteSource> => {
  const response = await get(where);
  if (!response.ok) throw notServed(where, `status ${response.status}`);
  const size = Number(response.headers.get("Content-Length") ?? Number.NaN);
  const isEncoded = (response.headers.get("Content-Encoding") ?? "identity") !== "identity";
  if (response.body === null || isEncoded || !Number.isSafeInteger(size)) {
    return memorySource(new Uint8Array(await response.arrayBuffer()));
  }
  let stream: Stream | undefined = streamOf(response.body, where, 0);
  const pause = async (): Promise<void> => {
    const left = stream;
    stream = undefined;
    await left?.cancel();
  };
  const streamFrom = async (offset: number): Promise<Stream> => {
    if (stream !== undefined && stream.at <= offset) return stream;
    await pause();
    const answer = await get(where, offset === 0 ? {} : { Range: `bytes=${offset}-` });
    if (!answer.ok || answer.body === null) throw notServed(where, `status ${answer.status}`);
    return streamOf(answer.body, where, answer.status === 206 ? offset : 0);
  };
  return {
    size,
    async read(offset, length) {
      if (length === 0) return new Uint8Array();
      stream = await streamFrom(offset);
      while (stream.at < offset) await stream.take(Math.min(skipBytes, offset - stream.at));
      return stream.take(length);
    },
    end: async () => {},
    pause,
    close: pause,
  };
};
