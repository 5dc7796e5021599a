/** Tests which clients may use a server, which requests the server refuses, and its error messages. */
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startServer } from "#foretoken/serve/openai/start.js";
import {
  openAiOptions,
  openServer,
  plainNoEnd,
  type TestServer,
  until,
  useModels,
} from "../../support/openai-server.ts";
import { raw } from "../studio.ts";

const { path } = useModels();
const opened: TestServer[] = [];
let open: TestServer;
let keyed: TestServer;
beforeAll(async () => {
  open = await openServer([path("plain")], { parallel: 2, queue: 1 });
  keyed = await openServer([path("plain")], {
    ...{ keys: ["first", "second"], perKey: 1, origins: ["https://page.example"] },
  });
  opened.push(open, keyed);
});
afterAll(() => Promise.all(opened.map((one) => one.close(0))));

const asked = { prompt: "the cat", max_tokens: 2, seed: 1, logit_bias: plainNoEnd };
const endless = { ...asked, max_tokens: 1_000_000, stream: true };

/** Expects an error in OpenAI's format. */
const expectError = (
  { status, body }: { readonly status: number; readonly body: unknown },
  expected: { readonly status: number; readonly type: string; readonly code?: string; readonly param?: string },
): void => {
  const { status: wanted, code = null, param = null, type } = expected;
  expect(body).toEqual({ error: { message: expect.stringMatching(/^[^\n]+$/u), type, param, code } });
  expect(status).toBe(wanted);
};

const invalid = "invalid_request_error";

describe("keys", () => {
  it.each([
    ["none", {}],
    ["another", { authorization: "Bearer other" }],
    ["the beginning of one", { authorization: "Bearer firs" }],
    ["one of another scheme", { authorization: "Basic first" }],
    ["an empty one", { authorization: "Bearer " }],
  ])("%s is refused with 401", async (_, headers: Record<string, string>) => {
    for (const [at, method] of [
      ["/v1/models", "GET"],
      ["/v1/completions", "POST"],
      ["/metrics", "GET"],
      ["/tokenizer_info", "GET"],
    ] as const) {
      const { status, headers: got, text } = await raw(keyed.url(), at, { method, headers });
      expectError(
        { status, body: JSON.parse(text) },
        { status: 401, type: "authentication_error", code: "invalid_api_key" },
      );
      expect(got["www-authenticate"]).toBe("Bearer");
    }
  });

  it("are all good; health and the description need none", async () => {
    for (const key of ["first", "second"])
      expect((await keyed.get("/v1/models", { authorization: `Bearer ${key}` })).status).toBe(200);
    for (const at of ["/health", "/openapi.json"]) expect((await raw(keyed.url(), at)).status).toBe(200);
  });

  it("are told apart in the log, and are not in it", async () => {
    await keyed.post("/v1/completions", asked);
    const [last] = keyed.log().slice(-1);
    expect(last).toMatchObject({ status: 200, path: "/v1/completions", model: "plain", promptTokens: 2, newTokens: 2 });
    expect(last?.key).toMatch(/^key-[0-9a-f]{8}$/u);
    expect(JSON.stringify(keyed.log())).not.toMatch(/first[^T]|the cat/u);
  });

  it("have a number of requests at a time each", async () => {
    const controller = new AbortController();
    const held = await keyed.send("/v1/completions", endless, { signal: controller.signal });
    expect(held.status).toBe(200);
    const refused = await keyed.post("/v1/completions", asked);
    expectError(refused, { status: 429, type: "rate_limit_error", code: "rate_limit_exceeded" });
    expect(refused.headers.get("retry-after")).toBe("1");
    const second = { authorization: "Bearer second" };
    expect((await keyed.post("/v1/completions", asked, second)).status).toBe(200);
    controller.abort();
    await keyed.untilIdle();
    expect((await keyed.post("/v1/completions", asked)).status).toBe(200);
  });

  it("must be there to listen to other machines", async () => {
    const options = { ...openAiOptions, models: [], tell: () => {}, host: "0.0.0.0" };
    await expect(startServer(options)).rejects.toThrow(
      "--host 0.0.0.0: a server that other machines can reach must have keys",
    );
  });
});

describe("pages and names", () => {
  it("a page may not ask, unless its origin was allowed", async () => {
    const refused = await open.post("/v1/completions", asked, { origin: "http://evil.example" });
    expectError(refused, { status: 403, type: invalid, code: "origin_not_allowed" });
    expect(refused.headers.get("access-control-allow-origin")).toBeNull();
    expect((await keyed.get("/v1/models", { origin: "https://page.example.evil" })).status).toBe(403);
    const allowed = await keyed.get("/v1/models", { origin: "https://page.example" });
    expect(allowed.status).toBe(200);
    expect(allowed.headers.get("access-control-allow-origin")).toBe("https://page.example");
    const before = await raw(keyed.url(), "/v1/completions", {
      method: "OPTIONS",
      headers: { origin: "https://page.example", "access-control-request-headers": "authorization" },
    });
    expect([before.status, before.headers["access-control-allow-headers"]]).toEqual([204, "authorization"]);
    const preflight = { method: "OPTIONS", headers: { origin: "null" } };
    expect((await raw(open.url(), "/v1/completions", preflight)).status).toBe(403);
  });

  it("without keys a name that is not this machine's is refused", async () => {
    for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost.evil:80"]) {
      const { status, text } = await raw(open.url(), "/v1/models", { headers: { host } });
      expectError({ status, body: JSON.parse(text) }, { status: 403, type: invalid, code: "host_not_allowed" });
    }
    for (const host of ["localhost:8000", "[::1]"])
      expect((await raw(open.url(), "/v1/models", { headers: { host } })).status).toBe(200);
    const headers = { host: "models.example", authorization: "Bearer first" };
    expect((await raw(keyed.url(), "/v1/models", { headers })).status).toBe(200);
  });
});

describe("addresses, methods and bodies", () => {
  const post = (body: string | Buffer, type = "application/json") =>
    raw(open.url(), "/v1/completions", { method: "POST", headers: { "content-type": type }, body });

  it("an unknown address is refused with 404, another method with 405 and the right one", async () => {
    for (const at of ["/", "/v1", "/v1/embeddings", "/v1/models/"]) {
      const { status, text } = await raw(open.url(), at);
      expectError({ status, body: JSON.parse(text) }, { status: 404, type: invalid, code: "not_found" });
    }
    expectError(await open.get("/v1/models/other"), {
      status: 404,
      type: invalid,
      code: "model_not_found",
      param: "model",
    });
    for (const [at, method, allow] of [
      ["/v1/completions", "GET", "POST"],
      ["/v1/models", "POST", "GET"],
      ["/health", "DELETE", "GET"],
    ] as const) {
      const { status, text, headers } = await raw(open.url(), at, { method });
      expectError({ status, body: JSON.parse(text) }, { status: 405, type: invalid });
      expect(headers.allow).toBe(allow);
    }
  });

  it("a body of another type is refused with 415", async () => {
    for (const type of ["text/plain", "", "application/x-www-form-urlencoded", "application/jsonp"]) {
      const { status, text } = await post(JSON.stringify(asked), type);
      expectError({ status, body: JSON.parse(text) }, { status: 415, type: invalid });
    }
    expect((await post(JSON.stringify(asked), "Application/JSON; charset=utf-8")).status).toBe(200);
  });

  it.each([
    ["empty", ""],
    ["cut", '{"prompt": "the'],
    ["not in UTF-8", Buffer.from([...Buffer.from('{"prompt": "'), 0xc3, 0x28, ...Buffer.from('"}')])],
    ["deep", `{"prompt": ${"[".repeat(70)}${"]".repeat(70)}}`],
    ["deep without an end", "[".repeat(1_000_000)],
    ["of too many values", `[${"1,".repeat(2 ** 21)}1]`],
    ["with a key twice", '{"prompt": "a", "prompt": "b"}'],
    ["with __proto__", '{"prompt": "a", "__proto__": {"n": 2}}'],
  ])("a body that is %s is refused with 400", async (_, body) => {
    const { status, text } = await post(body);
    expectError({ status, body: JSON.parse(text) }, { status: 400, type: invalid });
  });

  it("a body that is too large is refused with 413 before it has come", async () => {
    const { port } = new URL(open.url());
    const socket = connect({ host: "127.0.0.1", port: Number(port) });
    socket.write(
      `POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${2 ** 24 + 1}\r\n\r\n`,
    );
    const [answer] = (await once(socket, "data")) as [Buffer];
    socket.destroy();
    const [head = "", body = ""] = answer.toString().split("\r\n\r\n");
    expectError({ status: Number(head.split(" ")[1]), body: JSON.parse(body) }, { status: 413, type: invalid });
  });
});

it.each([
  [
    "a text that cannot fit",
    { prompt: "a".repeat(100_000) },
    /prompt: must fit into the context of 64 tokens, so the text must have at most \d+ bytes/u,
  ],
  ["a list with one", { prompt: ["a", "a".repeat(100_000)] }, /must fit into the context/u],
  [
    "more texts than one request may have",
    { prompt: Array(100).fill("a"), n: 64 },
    /must be at most 4096 texts; got 6400/u,
  ],
])("%s is refused before it is read", async (_, body, message) => {
  const answer = await open.post("/v1/completions", body);
  expect(answer).toMatchObject({ status: 400, body: { error: { message: expect.stringMatching(message) } } });
});

it.each([
  ["another encoding", { "content-encoding": "gzip" }, 415],
  ["another charset", { "content-type": "application/json; charset=utf-16" }, 415],
  ["UTF-8 by its name", { "content-type": 'application/json; charset="UTF-8"' }, 200],
  ["a request that a proxy hands on, without keys", { "x-forwarded-for": "10.0.0.1" }, 403],
])("%s", async (_, headers, status) => {
  expect((await open.post("/v1/completions", { prompt: "the", max_tokens: 1 }, headers)).status).toBe(status);
});

it("more texts than may wait are refused with 429, and a request that never fits is let in alone", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const held = await open.send("/v1/completions", { ...endless, n: 2 }, { signal });
  const waiting = open.send("/v1/completions", endless, { signal }).catch(() => undefined);
  await until(async () => (await open.metric("foretoken_texts")) === 3, "not all wait");
  const refused = await open.post("/v1/completions", asked);
  expectError(refused, { status: 429, type: "rate_limit_error", code: "queue_full" });
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  // Tokenizing a text needs no place in the queue.
  expect((await open.post("/tokenize", { prompt: "the cat" })).status).toBe(200);
  controller.abort();
  await waiting;
  expect(held.status).toBe(200);
  await open.untilIdle();
  expect((await open.post("/v1/completions", { ...asked, n: 9 })).body.choices).toHaveLength(9);
});

it("every answer has an id, which is in the log, and is not kept by a cache", async () => {
  for (const answer of [await open.post("/v1/completions", asked), await open.post("/v1/completions", {})]) {
    expect(open.log().map(({ id }) => id)).toContain(answer.headers.get("x-request-id"));
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
  }
});

it("the metrics have the form of Prometheus", async () => {
  const text = await (await fetch(`${open.url()}/metrics`)).text();
  for (const line of text.trimEnd().split("\n"))
    expect(line).toMatch(
      /^(?:# (?:HELP|TYPE) foretoken_\w+ .+|foretoken_\w+(?:\{\w+="[^"]*"(?:,\w+="[^"]*")*\})? [\d.e+-]+)$/u,
    );
  expect(await open.metric("foretoken_new_tokens_total")).toBeGreaterThan(0);
});
