/** A real studio for the tests of a file, and requests to it as its page makes them. */
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

/** What a page receives of a stream: its events one by one. */
export interface ServerEvent {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: Record<string, unknown>;
}

/** The events of a response, as they come. Leaving the loop closes the connection. */
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

/** The first event that `isIt` accepts; closes the connection. */
export const firstEvent = async (response: Response, isIt: (event: ServerEvent) => boolean): Promise<ServerEvent> => {
  for await (const event of eventsOf(response)) if (isIt(event)) return event;
  throw new Error("the stream has ended without it");
};

export interface Page {
  /** Of the temporary folder. */
  readonly path: (...names: readonly string[]) => string;
  readonly address: () => string;
  readonly get: <T>(path: string) => Promise<Answer<T>>;
  readonly post: <T = Record<string, unknown>>(path: string, body: unknown) => Promise<Answer<T>>;
  readonly stream: (path: string, body?: unknown) => Promise<Response>;
  readonly summary: (name: string) => Promise<RunSummary>;
  /** Returns when the list says so of a run. */
  readonly until: (name: string, isSo: (run: RunSummary) => boolean) => Promise<RunSummary>;
}

const jsonHeaders = (origin: string) => ({ "content-type": "application/json", origin });

/** A page at the studio of `address`. */
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

/** A studio on an empty folder of runs, for the tests of one file. */
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

/** A text that a small model learns in some steps. */
export const catText = "The cat sat on a mat.\nIt had a hat.\n\nSo it sat.\n".repeat(40);

/** The smallest run that has all kinds of events; `steps` of it. */
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

/** The events in a run's notes. */
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

/** A request with any headers and any path, as no page could send it. */
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
