import { cp, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { presets } from "#foretoken/config/presets.js";
import { freshModel } from "#foretoken/models/model.js";
import { languageModel } from "#foretoken/pretrained/model/language-model.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { type OpenAiServer, startServer } from "#foretoken/serve/openai/start.js";
import { trainTokenizer } from "#foretoken/tokenizer/from-config.js";
import { loadInWorker } from "#foretoken/worker/model.node.js";
import { cli, jsonLines, text, tiny, workplace } from "./cli.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const template =
  "{% for message in messages %}<|say|>{{ message.role }}: {{ message.content }}<|end|>{% endfor %}<|say|>";
const about = ["--backend", "reference", "--max-new-tokens", "6"];
/** An untrained model hardly ever ends its answer. */
const cut = "the answer was cut off at 6 tokens: --max-new-tokens, or /max-new-tokens here, allows more\n";

let cwd: string;
let remove: () => Promise<void>;

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  const tokenizer = trainTokenizer(
    { kind: "bpe", vocabSize: 280, pattern: "gpt2", specialTokens: ["<|say|>", "<|end|>"] },
    text,
  );
  const shape = { nLayer: 1, nEmbd: 32, nHead: 2, contextLength: 128, mlp: { kind: "swiglu", hidden: 32 } } as const;
  const model = freshModel(await openReference(), { ...presets.shakespeare.model, ...shape }, tokenizer.vocabSize, 1);
  const chatTemplate = { template, bosToken: "", eosToken: "<|end|>" };
  const [, end] = tokenizer.specialTokens;
  const lm = languageModel(model, tokenizer, undefined, { chatTemplate, endTokens: [end?.id ?? -1] });
  await savePretrained(join(cwd, "talker"), lm);
  await lm.close();
  await cp(join(cwd, "talker"), join(cwd, "served"), { recursive: true });
  const plan = ["--steps", "2", "--batch-size", "2", "--model.contextLength", "64", "--backend", "reference"];
  const trained = await cli(["train", "--init-from", "talker", "--data", "text.txt", ...plan, "--out", "tuned"], {
    cwd,
  });
  expect(trained.stderr).toMatch(/^this model holds conversations, and the text is plain: [^\n]+\n$/u);
});

afterAll(() => remove());

describe("chat", () => {
  test("answers each line of a pipe, and the same way again", async () => {
    const input = "Hello there\n\n/seed 3\nWho are you? <|end|>\n";
    const run = () => cli(["chat", "talker", ...about, "--system", "Be brief."], { cwd, input });
    const [first, second] = [await run(), await run()];
    expect(first).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^[\s\S]+\n[\s\S]+\n$/u),
      stderr: `${cut}/seed 3\n${cut}`,
    });
    expect(second).toEqual(first);
  });

  test("writes each answer in a form, and refuses one in a line", async () => {
    const schema = {
      type: "object",
      properties: { on: { type: "boolean" } },
      required: ["on"],
      additionalProperties: false,
    };
    await writeFile(join(cwd, "on.json"), JSON.stringify(schema));
    await writeFile(join(cwd, "broken.json"), '{"maxLenght": 3}');
    const talk = (...flags: string[]) =>
      cli(["chat", "talker", "--backend", "reference", "--temperature", "1", ...flags], { cwd, input: "Hi\nHo\n" });
    expect(await talk("--choice", "so", "--choice", "no")).toEqual({
      ...{ status: 0, stdout: expect.stringMatching(/^(so|no)\n(so|no)\n$/u), stderr: "" },
    });
    const { stdout } = await talk("--json-schema", "on.json", "--max-new-tokens", "40");
    for (const answer of stdout.trim().split(/(?<=\})\n/u))
      expect(JSON.parse(answer)).toEqual({ on: expect.any(Boolean) });
    const { status, stderr } = await talk("--json-schema", "broken.json");
    expect(status).toBe(2);
    expect(stderr).toMatch(/^foretoken: --json-schema broken\.json: #\/maxLenght: must be a keyword [^\n]*\n$/u);
  });

  test("tells its tokens as JSON, the prompt's with the conversation so far", async () => {
    const input = "Hello\nHello\n";
    const { stdout, stderr, status } = await cli(["chat", "talker", ...about, "--json"], { cwd, input });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const done = jsonLines(stdout).filter(({ type }) => type === "done");
    expect(done).toHaveLength(2);
    const [first, second] = done.map(({ promptTokens }) => Number(promptTokens));
    expect(second).toBeGreaterThan(Number(first) + 6);
  });

  test("goes on after a mistake, and says so in its status", async () => {
    const input = `${"long ".repeat(100)}\n/temperatur 0\n/nonsense\nHello\n`;
    const { stdout, stderr, status } = await cli(["chat", "talker", ...about], { cwd, input });
    expect(stdout).not.toBe("");
    expect(stderr.trim().split("\n")).toEqual([
      expect.stringMatching(
        /^foretoken: message: must leave room for an answer: message and template may have at most 122 tokens/u,
      ),
      expect.stringMatching(/^foretoken: command: must be a known command; got "\/temperatur"; try \/temperature 0/u),
      expect.stringMatching(
        /^foretoken: command: must be a known command; got "\/nonsense"; try \/help, or \/\/ to begin/u,
      ),
      cut.trim(),
    ]);
    expect(status).toBe(2);
  });

  test("talks with a run that was begun from such a model", async () => {
    const { status, stdout, stderr } = await cli(["chat", "tuned", "--weights", "last", ...about], {
      cwd,
      input: "Hello\n",
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: cut });
    expect(stdout).not.toBe("");
  });

  test("is named by generate, for a prompt to a model that it suits", async () => {
    const written = ["--prompt", "Who?", ...about];
    const told = async (...args: readonly string[]): Promise<string> => {
      const { status, stderr } = await cli(["generate", ...args], { cwd });
      expect(status, stderr).toBe(0);
      return stderr;
    };
    expect(await told("talker", ...written)).toBe("this model is made for conversations: npx foretoken chat talker\n");
    expect(await told("talker", ...written, "--json")).toBe("");
    expect(await told("talker", ...about)).toBe("");
    // After that, this model was trained on a plain text. The model still has the chat template.
    expect(await told("tuned", "--weights", "last", ...written)).toBe("");
  });

  test("refuses a model without a template, and a template that is faulty", async () => {
    await cli(["train", ...tiny, "--out", "run"], { cwd });
    const plain = await cli(["chat", "run", ...about], { cwd, input: "Hello\n" });
    expect(plain.stderr).toMatch(/must have a chat template.*; got none; try .*generate.*\n$/u);
    expect(plain.status).toBe(2);
    await writeFile(join(cwd, "talker", "chat_template.jinja"), "{{ raise_exception('only two') }}");
    const faulty = await cli(["chat", "talker", ...about], { cwd, input: "Hello\n" });
    expect(faulty.stderr).toContain("the chat template must render the conversation; got only two; try ");
    expect(faulty.stderr).not.toContain("    at ");
  });
});

describe("chat with a server", () => {
  const opened: OpenAiServer[] = [];
  const serve = async (keys: readonly string[] = []): Promise<string> => {
    const directory = join(cwd, "served");
    const server = await startServer({
      models: [
        {
          ...{ name: "served", aliases: [], version: async () => "" },
          load: () => loadInWorker(directory, { backend: "reference", dtype: "auto" }),
        },
      ],
      ...{ host: "127.0.0.1", port: 0, keys, perKey: 8, origins: [], parallel: 4, queue: 4, cacheBytes: 2 ** 20 },
      ...{ timeLimitMs: 60_000, patienceMs: 10_000, connections: 8, log: null, version: "test", tell: () => {} },
    });
    opened.push(server);
    return server.url;
  };
  afterAll(() => Promise.all(opened.map((server) => server.close(0))));

  test("has the answers of the model itself, turn by turn", async () => {
    const url = await serve();
    const input = "Hello there\n/seed 3\nWho are you? <|end|>\n";
    const flags = ["--max-new-tokens", "6", "--system", "Be brief."];
    const here = await cli(["chat", "served", "--backend", "reference", ...flags], { cwd, input });
    for (const address of [url, `${url}/v1`, `${url}/v1/`]) {
      expect(await cli(["chat", address, ...flags], { cwd, input })).toEqual(here);
    }
  });

  test("says in one line what is wrong", async () => {
    const url = await serve(["secret"]);
    const lineOf = async (...args: readonly string[]) => {
      const { status, stderr } = await cli(["chat", ...args], { cwd, input: "Hello\n" });
      return `${status} ${stderr.replaceAll(url, "URL").trim()}`;
    };
    expect(await lineOf(url)).toMatch(
      /^2 foretoken: URL\/v1\/models: the server must accept the request; got status 401: .*; try --api-key$/u,
    );
    expect(await lineOf(url, "--api-key", "secret", "--model", "other")).toMatch(
      /status 404: model: must be one of served; got "other"$/u,
    );
    expect(await lineOf(url, "--threads", "2")).toMatch(
      /^2 foretoken: --threads: works only with a model on this machine/u,
    );
    expect(await lineOf("served", "--model", "served")).toMatch(
      /^2 foretoken: --model: works only with the address of a server/u,
    );
    expect(await lineOf(url, "--api-key", "secret", "--temperature", "0", "--max-new-tokens", "6")).toMatch(
      /^0 the answer was cut off/u,
    );
  });
});

describe("a server that answers otherwise", () => {
  const events = (...data: readonly string[]): string => data.map((one) => `data: ${one}\n\n`).join("");
  const chunk = (content: unknown, reason: string | null = null): string =>
    JSON.stringify({ choices: [{ delta: { content }, finish_reason: reason }] });
  const sent: Readonly<Record<string, readonly [status: number, type: string, body: string]>> = {
    "no JSON": [200, "text/event-stream", events("{wrong")],
    null: [200, "text/event-stream", events("null")],
    numbers: [200, "text/event-stream", events('{"choices": 5}')],
    "a content of another type": [200, "text/event-stream", events(chunk({ a: 1 }))],
    "an error without words": [200, "text/event-stream", events(chunk("Hi", "stop"), '{"error": {"code": 7}}')],
    "another end": [200, "text/event-stream", events(chunk("Hi", "content_filter"))],
    "no end": [200, "text/event-stream", events(chunk("Hi"))],
    HTML: [200, "text/html", "<html></html>"],
    nothing: [204, "text/event-stream", ""],
    "an error in HTML": [500, "text/html", "<html>".repeat(10)],
    "a line without end": [200, "text/event-stream", `data: ${"a".repeat(3 * 2 ** 20)}`],
    "too much": [200, "text/event-stream", events(...Array(2000).fill(chunk("Hi ")))],
  };
  const good: Readonly<Record<string, string>> = {
    "lines that end in CR": events(chunk("Hi", "stop"), "[DONE]").replaceAll("\n", "\r"),
    "lines that end in CRLF": events(chunk("Hi", "stop"), "[DONE]").replaceAll("\n", "\r\n"),
    "a last event without its line end": `data: ${chunk("Hi", "stop")}`,
  };
  let server: Server;
  let url: string;
  beforeAll(async () => {
    server = createServer((request, response) => {
      const name = decodeURIComponent(request.url?.split("/")[1] ?? "");
      const [status, type, body] = sent[name] ?? [200, "text/event-stream", good[name] ?? ""];
      response.writeHead(status, { "content-type": type }).end(status === 204 ? undefined : body);
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => void server.close());
  const ask = (name: string) =>
    cli(["chat", `${url}/${encodeURIComponent(name)}`, "--model", "m", "--max-new-tokens", "6"], {
      cwd,
      input: "Hello\nHello\n",
    });

  test.each(Object.keys(sent))("as %s, is told of in a line, and the conversation goes on", async (name) => {
    const { status, stderr } = await ask(name);
    const lines = stderr.trimEnd().split("\n");
    expect({ status, lines: lines.length }, stderr).toEqual({ status: 2, lines: 2 });
    for (const line of lines) expect(line).toMatch(/^foretoken: http\S+: the (?:server|answer) must .*; got /u);
    expect(stderr).not.toContain("a bug");
  });

  test.each(Object.keys(good))("with %s is understood", async (name) => {
    expect(await ask(name)).toEqual({ status: 0, stdout: "Hi\nHi\n", stderr: "" });
  });
});
