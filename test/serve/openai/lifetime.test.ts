/** Clients that disconnect, models that are replaced, and the end of a server. */
import { once } from "node:events";
import { cp, mkdir, rename, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { servedSources } from "#foretoken/cli/model/served-sources.js";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import { logitsFault } from "#foretoken/core/errors/logits-fault.js";
import { apiErrorOf, errorBody } from "#foretoken/serve/openai/api-error.js";
import { type Lease, openServedModels, type ServedModels } from "#foretoken/serve/openai/served-models.js";
import { writeTexts } from "#foretoken/serve/openai/texts.js";
import {
  dataOf,
  openServer,
  plainNoEnd,
  type TestServer,
  until,
  useModels,
  writePlainModel,
} from "../../support/openai-server.ts";

const { path } = useModels();
const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

const serving = async (changes: Parameters<typeof openServer>[1] = {}): Promise<TestServer> => {
  const server = await openServer([path("plain")], changes);
  ends.push(() => server.close(0));
  return server;
};

const asked = { prompt: "the cat", max_tokens: 4, seed: 1, logit_bias: plainNoEnd };
const endless = { ...asked, max_tokens: 1_000_000 };

it("a client that leaves frees its texts: of a stream, of a whole answer, and where they wait", async () => {
  const server = await serving({ parallel: 2 });
  const controller = new AbortController();
  const { signal } = controller;
  const stream = await server.send("/v1/completions", { ...endless, stream: true }, { signal });
  const reader = stream.body?.getReader();
  await reader?.read();
  const leave = [
    server.send("/v1/completions", endless, { signal }),
    server.send("/v1/completions", { ...endless, n: 2, stream: true }, { signal }),
    server.send("/v1/completions", endless, { signal }),
  ].map((one) => one.then(async (response) => void (await response.text())).catch((error: Error) => error.name));
  await until(async () => (await server.metric("foretoken_texts")) === 5, "not all have come");
  controller.abort();
  expect(await Promise.all(leave)).toEqual(["AbortError", "AbortError", "AbortError"]);
  await server.untilIdle();
  // The server has freed the pages of the aborted texts.
  expect(await server.metric("foretoken_pages_in_use")).toBe(0);
  expect((await server.post("/v1/completions", asked)).status).toBe(200);
  await until(() => server.log().length === 5, "not all are noted");
  expect(server.log().map(({ left }) => left)).toEqual([true, true, true, true, undefined]);
});

it("a request that takes too long ends: a stream with an error, an answer with 504", async () => {
  const server = await serving({ timeLimitMs: 200 });
  const [stream, whole] = await Promise.all([
    server.send("/v1/completions", { ...endless, stream: true }),
    server.post("/v1/completions", endless),
  ]);
  const error = { message: "a request must end within 0.2 s; it did not; try fewer tokens", code: "timeout" };
  // On a very slow machine, the time limit may be exceeded before the stream begins. The whole body is then the error.
  const text = await stream.text();
  expect(JSON.parse(dataOf(text).at(-1) ?? text)).toMatchObject({ error });
  expect(whole).toMatchObject({ status: 504, body: { error } });
});

describe("a model whose folder is replaced", () => {
  const opened = async (place: string): Promise<{ readonly models: ServedModels; readonly told: string[] }> => {
    const told: string[] = [];
    const sources = servedSources([place], { adapters: {} }, { backend: "reference", dtype: "float32" }, () => {});
    const models = await openServedModels(sources, { parallel: 4, queue: 4, cacheBytes: 2 ** 24 }, (line) =>
      told.push(line),
    );
    ends.push(() => models.close());
    return { models, told };
  };
  /** Generates the text of a lease, and calls `begun` at the first token. */
  const write = async ({ engine }: Lease, maxNewTokens: number, begun = () => {}): Promise<string> => {
    const { signal } = new AbortController();
    const request = { prompt: [1, 2, 3], options: { maxNewTokens, seed: 1, logitBias: plainNoEnd } };
    let text = "";
    for await (const { added } of writeTexts(engine, [request], 4, signal)) {
      begun();
      text += added;
    }
    return text;
  };
  const replace = async (place: string): Promise<void> => {
    await rename(place, `${place}-old`);
    await rename(`${place}-new`, place);
  };

  it("is loaded once if two checks find the new files at the same time", async () => {
    const place = path("checked-twice");
    await writePlainModel(place, 1);
    await writePlainModel(`${place}-new`, 2);
    const { models, told } = await opened(place);
    await replace(place);
    await Promise.all([models.refresh(), models.refresh()]);
    expect(told).toEqual(["checked-twice was replaced; the new files are loaded"]);
  });

  it("is loaded anew, and texts that are under way end with the weights that they began with", async () => {
    const place = path("replaced");
    await writePlainModel(place, 1);
    await writePlainModel(`${place}-new`, 2);
    const { models, told } = await opened(place);
    const before = models.take(undefined, 1);
    const expected = await write(before, 40);
    await models.refresh();
    expect(told).toEqual([]);
    let hasBegun = (): void => {};
    const begun = new Promise<void>((resolve) => {
      hasBegun = resolve;
    });
    const writing = write(before, 40, () => hasBegun());
    await begun;
    await replace(place);
    await models.refresh();
    expect(told).toEqual(["replaced was replaced; the new files are loaded"]);
    const after = models.take(undefined, 1);
    expect(after.fingerprint).not.toBe(before.fingerprint);
    expect(await write(after, 40)).not.toBe(expected);
    expect(await writing).toBe(expected);
    // The server closes the old model after the last request to it.
    before.release();
    await vi.waitFor(() => expect(write(before, 1)).rejects.toThrow("closed"), { timeout: 50_000 });
    expect(await write(after, 1)).not.toBe("");
    after.release();
    // If the folder is missing, or its contents cannot be loaded, the server keeps the model.
    await rename(place, `${place}-gone`);
    await models.refresh();
    expect(told).toHaveLength(1);
    await mkdir(place);
    await cp(`${place}-gone/config.json`, `${place}/config.json`);
    await models.refresh();
    expect(told[1]).toMatch(/^replaced was replaced, but cannot be loaded: /u);
    await models.refresh();
    expect(told).toHaveLength(2);
    // Other files are tried without a wait, and another reason is reported.
    await writeFile(`${place}/model.safetensors`, "no weights");
    await models.refresh();
    expect(told[2]).toMatch(/^replaced was replaced, but cannot be loaded: .*model\.safetensors/u);
    await models.refresh();
    expect(told).toHaveLength(3);
    const still = models.take(undefined, 1);
    expect(still.fingerprint).toBe(after.fingerprint);
    expect(await write(still, 3)).not.toBe("");
    still.release();
    await rename(place, `${place}-damaged`);
    await cp(`${place}-gone`, place, { recursive: true });
    await models.refresh();
    expect(told.slice(3)).toEqual(["replaced was replaced; the new files are loaded"]);
    await rename(place, `${place}-good`);
    await rename(`${place}-damaged`, place);
    await models.refresh();
    expect(told[4]).toBe(told[2]);
    await models.close();
    await rename(place, `${place}-half`);
    await rename(`${place}-old`, place);
    await models.refresh();
    expect(told).toHaveLength(5);
  });
});

describe("the end of a server", () => {
  it("lets a stream and an answer end, and takes nothing new", async () => {
    const server = await serving();
    const stream = await server.send("/v1/completions", { ...asked, max_tokens: 300, stream: true });
    const reader = stream.body?.getReader();
    const decoder = new TextDecoder();
    let text = decoder.decode((await reader?.read())?.value, { stream: true });
    const whole = server.post("/v1/completions", { ...asked, max_tokens: 300 });
    // A request that is still being sent when the server is told to end.
    const { port } = new URL(server.url());
    const late = connect({ host: "127.0.0.1", port: Number(port) });
    late.write("GET /v1/models HTTP/1.1\r\nHost: localhost\r\n");
    await until(async () => (await server.metric("foretoken_requests")) >= 2, "not both have come");
    const closed = server.close(60_000);
    late.write("\r\n");
    const [answer] = (await once(late, "data")) as [Buffer];
    expect(answer.toString()).toMatch(
      /^HTTP\/1\.1 503 [\s\S]*\r\nConnection: close\r\n[\s\S]*"code":"server_ending"/iu,
    );
    await expect(server.post("/v1/completions", asked)).rejects.toThrow("fetch failed");
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
      if (done) break;
      text += decoder.decode(value, { stream: true });
    }
    const events = dataOf(text);
    expect(events.at(-1)).toBe("[DONE]");
    expect(JSON.parse(events.at(-2) ?? "").choices[0].finish_reason).toBe("length");
    expect((await whole).body.usage.completion_tokens).toBe(300);
    await closed;
  });

  it("ends what takes longer than it may: a stream with an error, an answer with 503", async () => {
    const server = await serving();
    const stream = await server.send("/v1/completions", { ...endless, stream: true });
    const whole = server.post("/v1/completions", endless);
    await until(async () => (await server.metric("foretoken_texts_running")) === 2, "not both are written");
    const text = stream.text();
    await server.close(0);
    const events = dataOf(await text);
    const error = { message: "the server is shutting down; try again later", type: "server_error", param: null };
    expect(JSON.parse(events.at(-1) ?? "")).toEqual({ error: { ...error, code: "server_ending" } });
    expect(await whole).toMatchObject({ status: 503, body: { error: { code: "server_ending" } } });
    expect(server.log().map(({ status, error: line }) => [status, line])).toEqual(
      expect.arrayContaining([
        [200, error.message],
        [503, error.message],
      ]),
    );
  });
});

it("a damaged model is the server's fault, and a wrong request is the client's", () => {
  const damaged = apiErrorOf(logitsFault("generate", Number.NaN));
  expect({ ...errorBody(damaged).error, status: damaged.status }).toEqual({
    ...{ status: 500, type: "server_error", param: null, code: null },
    message: expect.stringContaining("the model's logits must be finite numbers; got NaN"),
  });
  const wrong = apiErrorOf(new ConfigError({ where: "request.seed", must: "must be a number", got: "text" }));
  expect({ type: errorBody(wrong).error.type, status: wrong.status }).toEqual({
    ...{ status: 400, type: "invalid_request_error" },
  });
});
