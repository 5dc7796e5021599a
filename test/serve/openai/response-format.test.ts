import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, Output } from "ai";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { chatCharacters, writeChatModel } from "../../support/chats.ts";
import { type Body, openServer, type TestServer, useServer } from "../../support/openai-server.ts";

const server = useServer();
const schema = {
  type: "object",
  properties: { on: { type: "boolean" }, n: { type: "integer", minimum: 0, maximum: 9 } },
  required: ["on", "n"],
  additionalProperties: false,
};
const plain = { model: "plain", prompt: "the cat", max_tokens: 60, seed: 1, temperature: 2 };
const talk = { model: "talk", messages: [{ role: "user", content: "Hi" }], seed: 1 };

const completion = (fields: Body) => server.post("/v1/completions", { ...plain, ...fields });
const chat = (fields: Body) => server.post("/v1/chat/completions", { ...talk, ...fields });

describe("completions", () => {
  it("fit a schema, an expression, a choice and a grammar", async () => {
    const { body } = await completion({ guided_json: schema, n: 4 });
    for (const { text, finish_reason: reason } of body.choices) {
      expect(JSON.parse(text)).toEqual({ on: expect.any(Boolean), n: expect.any(Number) });
      expect(reason).toBe("stop");
    }
    expect((await completion({ guided_regex: "[ab]{5}" })).body.choices[0].text).toMatch(/^[ab]{5}$/u);
    expect((await completion({ guided_choice: ["so", "no"] })).body.choices[0].text).toMatch(/^(so|no)$/u);
    expect((await completion({ guided_grammar: 'root ::= "(" root? ")"' })).body.choices[0].text).toMatch(/^\(+\)*$/u);
  });

  it.each([
    [
      { guided_json: { maxLenght: 1 } },
      "guided_json",
      "unsupported_value",
      /^guided_json: #\/maxLenght: must be a keyword/u,
    ],
    [{ guided_regex: "(?=a)" }, "guided_regex", "unsupported_value", /^guided_regex: must be .*a lookahead/u],
    [{ guided_regex: "a", guided_choice: ["b"] }, "guided_regex", null, /must be the only field/u],
    [{ guided_choice: [] }, "guided_choice", null, /guided_choice/u],
    [
      { guided_grammar: "start ::= 1" },
      "guided_grammar",
      "unsupported_value",
      /^guided_grammar: line 1: must have rules/u,
    ],
  ])("with %j are refused by name", async (fields, param, code, message) => {
    const { status, body } = await completion(fields);
    expect([status, body.error]).toEqual([
      400,
      { message: expect.stringMatching(message), type: "invalid_request_error", param, code },
    ]);
  });
});

describe("the format of an answer", () => {
  it("is a text by default", async () => {
    for (const format of [{ response_format: { type: "text" } }, {}]) {
      expect((await chat({ ...format, max_tokens: 3 })).status).toBe(200);
    }
  });

  it.each([
    [
      { type: "json_schema", json_schema: { name: "x", schema: { format: "colour" } } },
      /^response_format\.json_schema\.schema: #\/format: must be a known format/u,
    ],
    [{ type: "json_schema", json_schema: { schema: {} } }, /json_schema.name/u],
    [{ type: "xml" }, /response_format.type: must be \{"type": "text"\}/u],
  ])("is refused where it is %j", async (format, message) => {
    const { status, body } = await chat({ response_format: format });
    expect(status).toBe(400);
    expect(body.error.message).toMatch(message);
    expect(body.error.param).toMatch(/^response_format/u);
  });

  it("does not go with tools that the model is never told of", async () => {
    const { status, body } = await chat({ tools: [{ type: "function", function: { name: "look" } }] });
    expect([status, body.error.param]).toEqual([400, "tools"]);
    expect(body.error.message).toMatch(
      /^tools: the model's chat template must write tool calls .* got a template that does not show tools to the model/u,
    );
  });

  it("is refused of responses, too", async () => {
    const { status, body } = await server.post("/v1/responses", {
      ...{ model: "talk", input: "Hi" },
      text: { format: { type: "json_schema", name: "x", schema: { contains: {}, maxContains: 1 } } },
    });
    expect([status, body.error.param]).toEqual([400, "text.format.schema"]);
    expect(body.error.message).toMatch(/^text\.format\.schema: #\/maxContains: is not supported/u);
  });
});

describe("the format of an answer of a model that knows JSON's characters", () => {
  let folder = "";
  let own: TestServer | undefined;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "foretoken-format-"));
    const marks = [...'{}[]:,"\\0123456789-'];
    const tokenizer = charTokenizer([...chatCharacters, ...marks], ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]);
    await writeChatModel(join(folder, "json"), tokenizer);
    own = await openServer([join(folder, "json")]);
  });
  afterAll(async () => {
    await own?.close(0);
    await rm(folder, { recursive: true });
  });
  const baseURL = (): string => `${own?.url()}/v1`;

  it("fits the schema in OpenAI's client, as one answer and as a stream", async () => {
    const client = new OpenAI({ baseURL: baseURL(), apiKey: "none", maxRetries: 0 });
    const asked = {
      ...{ model: "json", messages: [{ role: "user" as const, content: "Hi" }], seed: 1, max_tokens: 70 },
      response_format: { type: "json_schema" as const, json_schema: { name: "switch", strict: true, schema } },
    };
    const { choices } = await client.chat.completions.create(asked);
    const text = choices[0]?.message.content ?? "";
    expect(JSON.parse(text)).toEqual({ on: expect.any(Boolean), n: expect.any(Number) });
    expect(choices[0]?.finish_reason).toBe("stop");
    let streamed = "";
    for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
      streamed += chunk.choices[0]?.delta.content ?? "";
    }
    expect(streamed).toBe(text);
    const format = { type: "json_schema" as const, name: "switch", schema };
    const response = await client.responses.create({ model: "json", input: "Hi", text: { format } });
    expect(JSON.parse(response.output_text)).toEqual({ on: expect.any(Boolean), n: expect.any(Number) });
    expect(response.text?.format).toMatchObject(format);
  });

  it("is what the AI SDK asks for", async () => {
    const output = Output.object({ schema: z.object({ on: z.boolean(), way: z.enum(["in", "out"]) }) });
    for (const model of [
      createOpenAI({ baseURL: baseURL(), apiKey: "none" }).chat("json"),
      createOpenAI({ baseURL: baseURL(), apiKey: "none" }).responses("json"),
    ]) {
      const { output: value } = await generateText({ model, prompt: "Hi", output, maxRetries: 0 });
      expect(value).toEqual({ on: expect.any(Boolean), way: expect.stringMatching(/^(in|out)$/u) });
    }
  });
});
