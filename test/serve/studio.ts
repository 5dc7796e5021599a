/** A real studio for the tests of one file. The tests send requests to it in the same way as its page. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import type { NewRunRequest, RunListAnswer, RunSummary } from "#foretoken/serve/studio/protocol.js";
import { type Studio, type StudioOptions, startStudio } from "#foretoken/serve/studio/start.js";

export interface Answer<T> {
  readonly status: number;
  readonly body: T;
}

/** An event of a stream, as a page receives it. */
export interface ServerEvent {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: Record<string, unknown>;
}

/** Yields the events of a response as they arrive. Leaving the loop closes the connection. */
export async function* eventsOf(response: Response): AsyncGenerator<ServerEvent, void, undefined> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        if (block.startsWith(":")) continue;
        const field = (name: string): string | undefined =>
          block
            .split("\n")
            .find((line) => line.startsWith(`${name}: `))
            ?.slice(name.length + 2);
        yield {
          event: field("event") ?? "message",
          id: field("id"),
          data: JSON.parse(field("data") ?? "null") as Record<string, unknown>,
        };
      }
    }
  } finally {
    await reader.cancel();
  }
}

/** The first event for which `isIt` returns true. After it, the connection is closed. */
export const firstEvent = async (response: Response, isIt: (event: ServerEvent) => boolean): Promise<ServerEvent> => {
  for await (const event of eventsOf(response)) if (isIt(event)) return event;
  throw new Error("the stream has ended without it");
};

export interface Page {
  /** Path of a file in the temporary folder. */
  readonly path: (...names: readonly string[]) => string;
  readonly address: () => string;
  readonly get: <T>(path: string) => Promise<Answer<T>>;
  readonly post: <T = Record<string, unknown>>(path: string, body: unknown) => Promise<Answer<T>>;
  readonly stream: (path: string, body?: unknown) => Promise<Response>;
  readonly summary: (name: string) => Promise<RunSummary>;
  /** Resolves when the entry of a run in the list meets the condition. */
  readonly until: (name: string, isSo: (run: RunSummary) => boolean) => Promise<RunSummary>;
}

const jsonHeaders = (origin: string) => ({ "content-type": "application/json", origin });

/** A page that uses the studio at `address`. */
export const pageAt = (folder: () => string, address: () => string): Page => {
  const api = (path: string): string => `${address()}api/v1/${path}`;
  const answerOf = async <T>(response: Response): Promise<Answer<T>> => ({
    status: response.status,
    body: (await response.json()) as T,
  });
  const send = (path: string, body: unknown): Promise<Response> =>
    fetch(api(path), {
      method: "POST",
      headers: jsonHeaders(new URL(address()).origin),
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  const summary = async (name: string): Promise<RunSummary> => {
    const { runs } = (await answerOf<RunListAnswer>(await fetch(api("runs")))).body;
    const found = runs.find((run) => run.name === name);
    if (found === undefined) throw new Error(`no run ${name}`);
    return found;
  };
  return {
    path: (...names) => join(folder(), ...names),
    address,
    get: async (path) => answerOf(await fetch(api(path))),
    post: async (path, body) => answerOf(await send(path, body)),
    stream: (path, body) => (body === undefined ? fetch(api(path)) : send(path, body)),
    summary,
    async until(name, isSo) {
      const response = await fetch(api("events"));
      for await (const { data } of eventsOf(response)) {
        const { runs } = data as unknown as RunListAnswer;
        const found = runs.find((run) => run.name === name);
        if (found !== undefined && isSo(found)) return found;
      }
      throw new Error("the list has ended");
    },
  };
};

/** A studio with an empty folder of runs, for the tests of one file. */
export const useStudio = (options: Partial<StudioOptions> = {}): Page => {
  let folder = "";
  let studio: Studio | undefined;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "foretoken-studio-"));
    studio = await startStudio({ folder: join(folder, "runs"), port: 0, backend: "wasm", threads: 1, ...options });
  });
  afterAll(async () => {
    await studio?.close();
    await rm(folder, { recursive: true });
  });
  return pageAt(
    () => folder,
    () => studio?.url ?? "",
  );
};

/** A text that a small model learns in a few steps. */
export const catText = "The cat sat on a mat.\nIt had a hat.\n\nSo it sat.\n".repeat(40);

/** The smallest run that has all types of events. It has `steps` steps. */
export const smallRun = (name: string, steps: number, train: object = {}): NewRunRequest => ({
  name,
  text: { kind: "given", name: "cat.txt", text: catText },
  config: {
    model: { contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 8, mlp: { hidden: 8 }, dropout: 0 },
    train: {
      ...{ steps, batchSize: 2, evalInterval: 4, checkpointInterval: 4, sampleTokens: 5, warmupSteps: 2, patience: 0 },
      ...train,
    },
  },
});

/** The events in a run's metrics.jsonl. */
export const notesOf = async (run: string): Promise<readonly Record<string, unknown>[]> =>
  (await readFile(join(run, "metrics.jsonl"), "utf8"))
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Sends a request with any headers and any path. A page could not send such a request. */
export const raw = (
  address: string,
  path: string,
  {
    method = "GET",
    headers = {},
    body,
  }: { readonly method?: string; readonly headers?: Record<string, string>; readonly body?: string | Buffer } = {},
): Promise<RawAnswer> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(address);
    const sent = httpRequest({ host: hostname, port, path, method, headers, agent: false }, (response) => {
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.push(piece));
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: Buffer.concat(pieces).toString(),
        }),
      );
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
