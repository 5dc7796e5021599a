/** An OpenAI-compatible server with tiny models, for the tests of one file. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { afterAll, beforeAll, vi } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { servedSources } from "#foretoken/cli/model/served-sources.js";
import { freshModel } from "#foretoken/models/model.js";
import { languageModel } from "#foretoken/pretrained/model/language-model.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { type OpenAiServer, type ServerOptions, type ServerState, startServer } from "#foretoken/serve/openai/start.js";
import { trainBpeTokenizer } from "#foretoken/tokenizer/bpe/learn/train.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { chatTokenizer, writeChatModel } from "./chats.ts";
import { smallGroupedRun } from "./runs.ts";

/**
 * A bias against the tokens that end an answer of the chat model. With this bias, each answer has the requested number
 * of tokens.
 */
export const noEnd = Object.fromEntries(chatTokenizer.specialTokens.map(({ id }) => [id, -100]));

/** A tokenizer in which “é” and “€” consist of several tokens. So a token may end inside a character. */
export const plainTokenizer = trainBpeTokenizer(
  { vocabSize: 280, specialTokens: ["<|endoftext|>"] },
  "the cat sat on the mat, and the hat. ".repeat(20),
);

export const plainContext = 64;

/** Writes a tiny model with byte-level BPE and no chat template. @param seed seed of the weights. */
export const writePlainModel = async (directory: string, seed = 1, contextLength = plainContext): Promise<void> => {
  const backend = await openReference();
  const { model: config } = resolveConfig("shakespeare", [smallGroupedRun, { model: { contextLength } }]);
  const model = freshModel(backend, { ...config, dropout: 0 }, plainTokenizer.vocabSize, seed);
  const lm = languageModel(model, plainTokenizer);
  await savePretrained(directory, lm);
  await lm.close();
  await backend.close();
};

/** The end-of-text token of the BPE model. */
export const plainEnd = plainTokenizer.endOfText ?? -1;

/** A bias against the end-of-text token, so that texts are long. */
export const plainNoEnd = { [plainEnd]: -100 };

export type Body = Record<string, unknown>;

/** A JSON answer. */
export interface JsonAnswer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: answers are read as clients without types read them.
  readonly body: any;
}

export interface TestServer {
  /** The server's address without /v1. */
  readonly url: () => string;
  readonly get: (path: string, headers?: Record<string, string>) => Promise<JsonAnswer>;
  readonly post: (path: string, body: unknown, headers?: Record<string, string>) => Promise<JsonAnswer>;
  /** Sends a POST request. The caller reads the response's body. */
  readonly send: (path: string, body: unknown, init?: RequestInit) => Promise<Response>;
  /** Lines of the request log so far. */
  readonly log: () => readonly Body[];
  /** Messages on the terminal so far. */
  readonly told: readonly string[];
  /** Sum of the values of a metric in /metrics. */
  readonly metric: (name: string) => Promise<number>;
  /** State of the server, for the studio's page. */
  readonly state: () => Promise<ServerState>;
  /** Resolves when the server generates a text. */
  readonly untilRunning: () => Promise<void>;
  /** Resolves when the server neither generates a text nor has one in its queue. */
  readonly untilIdle: () => Promise<void>;
  readonly close: (graceMs: number) => Promise<void>;
}

export const openAiOptions = {
  ...{ host: "127.0.0.1", port: 0, keys: [], perKey: 64, origins: [], parallel: 16, queue: 256 },
  ...{ cacheBytes: 2 ** 24, timeLimitMs: 60_000, patienceMs: 30_000, connections: 1024, log: null, version: "1.2.3" },
} as const;

/** Resolves once the condition is true. The time limit is far longer than needed. */
export const until = (isSo: () => Promise<boolean> | boolean, otherwise: string): Promise<void> =>
  vi.waitFor(
    async () => {
      if (!(await isSo())) throw new Error(otherwise);
    },
    { timeout: 50_000, interval: 10 },
  );

/** A server for the models in the folders `places`. */
export const openServer = async (
  places: readonly string[],
  changes: Partial<ServerOptions> = {},
): Promise<TestServer> => {
  const told: string[] = [];
  let lines = "";
  const log = new Writable({
    write: (text: Buffer, _, done) => {
      lines += String(text);
      done();
    },
  });
  const tell = (line: string): void => {
    told.push(line);
  };
  const models = servedSources(places, { adapters: {} }, { backend: "reference", dtype: "float32" }, tell);
  const server: OpenAiServer = await startServer({ ...openAiOptions, models, log, tell, ...changes });
  const { url } = server;
  const [key] = changes.keys ?? [];
  const authorized: Record<string, string> = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const answerOf = async (response: Response): Promise<JsonAnswer> => ({
    ...{ status: response.status, headers: response.headers, body: await response.json() },
  });
  const send = (path: string, body: unknown, { headers, ...init }: RequestInit = {}): Promise<Response> =>
    fetch(`${url}${path}`, {
      method: "POST",
      headers: { ...authorized, "content-type": "application/json", ...(headers as Record<string, string>) },
      body: typeof body === "string" || body instanceof Uint8Array ? (body as BodyInit) : JSON.stringify(body),
      ...init,
    });
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`${url}/metrics`, { headers: authorized })).text();
    const values = text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    if (values.length === 0) throw new Error(`no metric ${name}`);
    return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  };
  return {
    ...{ url: () => url, send, metric, told, state: () => server.state(), close: (graceMs) => server.close(graceMs) },
    get: async (path, headers = {}) =>
      answerOf(await fetch(`${url}${path}`, { headers: { ...authorized, ...headers } })),
    post: async (path, body, headers = {}) => answerOf(await send(path, body, { headers })),
    log: () =>
      lines
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Body),
    untilRunning: () => until(async () => (await metric("foretoken_texts_running")) > 0, "no text is written"),
    untilIdle: () =>
      until(
        async () => (await metric("foretoken_texts")) + (await metric("foretoken_texts_running")) === 0,
        "texts are written",
      ),
  };
};

/** Two model folders, "plain" and "talk", for the tests of one file. */
export const useModels = () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "foretoken-serving-"));
    await writePlainModel(join(folder, "plain"));
    await writeChatModel(join(folder, "talk"));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const path = (...names: readonly string[]): string => join(folder, ...names);
  return { path, both: () => [path("plain"), path("talk")] };
};

/** A server with both models, for the tests of one file. A request that names no model uses "plain". */
export const useServer = (
  changes: Partial<ServerOptions> = {},
): TestServer & { readonly place: (...names: readonly string[]) => string } => {
  const { both, path } = useModels();
  let server: TestServer | undefined;
  beforeAll(async () => {
    server = await openServer(both(), changes);
  });
  afterAll(() => server?.close(0));
  const here = (): TestServer => server as TestServer;
  return {
    place: path,
    url: () => here().url(),
    get: (...given) => here().get(...given),
    post: (...given) => here().post(...given),
    send: (...given) => here().send(...given),
    log: () => here().log(),
    get told() {
      return here().told;
    },
    metric: (name) => here().metric(name),
    state: () => here().state(),
    untilRunning: () => here().untilRunning(),
    untilIdle: () => here().untilIdle(),
    close: (graceMs) => here().close(graceMs),
  };
};

/** The data of a stream's events, as text. */
export const dataOf = (stream: string): readonly string[] =>
  stream
    .split("\n\n")
    .flatMap((block) => block.split("\n").filter((line) => line.startsWith("data: ")))
    .map((line) => line.slice("data: ".length));
