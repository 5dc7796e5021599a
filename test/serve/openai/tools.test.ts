/** Tools with tiny untrained models: only the constraint makes their calls valid. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, jsonSchema, type LanguageModel, stepCountIs, streamText, type ToolSet, tool } from "ai";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Body, dataOf, openServer, type TestServer } from "../../support/openai-server.ts";
import { type ToolTemplate, toolTemplates, toolTokenizer, weather, writeToolModel } from "../../support/tool-chats.ts";

/** Loading a model takes time. So one call format is left out, because the server parses it like another format. */
const kinds = ["hermes", "thinking", "bare", "list"] as const satisfies readonly ToolTemplate[];
let folder = "";
let opened: TestServer | undefined;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-tools-"));
  for (const kind of kinds) await writeToolModel(join(folder, kind), toolTemplates[kind]);
  opened = await openServer(kinds.map((name) => join(folder, name)));
});
afterAll(async () => {
  await opened?.close(0);
  await rm(folder, { recursive: true });
});
const server = (): TestServer => opened as TestServer;
const baseURL = (): string => `${server().url()}/v1`;

const tools = [{ type: "function", function: weather }];
const asked = { messages: [{ role: "user", content: "Hi" }], tools, seed: 1, max_tokens: 400 };
const chat = (fields: Body) => server().post("/v1/chat/completions", { ...asked, ...fields });
const fits = { city: expect.stringMatching(/^(Oslo|A "B")$/u), days: expect.any(Number) };
const markers = { thinking: "<|call|>", bare: "{", list: "[TOOL_CALLS]" };
/** A model that begins with the marker of a tool call, as a model trained for tools would. */
const callsAtOnce = (kind: keyof typeof markers): Body => {
  const special = toolTokenizer.specialTokens.find(({ name }) => name === markers[kind]);
  const first = special?.id ?? toolTokenizer.encode(markers[kind].slice(0, 1))[0] ?? -1;
  return { logit_bias: { [first]: 100 }, max_tokens: 1500 };
};

describe.each(kinds)("a model with the template %s", (kind) => {
  it("calls a tool where it must, with arguments that fit", async () => {
    const tool_choice = { type: "function", function: { name: "get_weather" } };
    const { status, body } = await chat({
      model: kind,
      tool_choice,
      parallel_tool_calls: false,
      n: kind === "hermes" ? 2 : 1,
    });
    expect(status).toBe(200);
    for (const { message, finish_reason: reason } of body.choices) {
      expect([message.content, reason]).toEqual([null, "tool_calls"]);
      expect(message.tool_calls).toEqual([
        {
          ...{ id: expect.stringMatching(/^call_\w{9}$/u), type: "function" },
          function: { name: "get_weather", arguments: expect.any(String) },
        },
      ]);
      expect(JSON.parse(message.tool_calls[0].function.arguments)).toEqual(fits);
    }
  });
});

describe.each(["hermes", "list"] as const)("a stream of a model with the template %s", (kind) => {
  it("has the name, then pieces of the arguments, of the same call", async () => {
    const fields = { model: kind, tool_choice: "required", parallel_tool_calls: false };
    const whole = (await chat(fields)).body.choices[0].message.tool_calls[0].function;
    const events = dataOf(
      await (await server().send("/v1/chat/completions", { ...asked, ...fields, stream: true })).text(),
    );
    const choices = events.slice(0, -1).map((event) => JSON.parse(event).choices[0]);
    const deltas = choices.flatMap(({ delta }) => delta.tool_calls ?? []);
    expect(deltas[0]).toMatchObject({ index: 0, type: "function", function: { name: whole.name, arguments: "" } });
    expect(deltas.map((delta) => delta.function.arguments).join("")).toBe(whole.arguments);
    expect(choices.flatMap(({ delta }) => delta.content ?? []).join("")).toBe("");
    expect(choices.at(-1).finish_reason).toBe("tool_calls");
  });
});

describe.each(["thinking", "bare", "list"] as const)("a model with the template %s that begins a call", (kind) => {
  it("calls with auto, and goes on after the result", async () => {
    const { body } = await chat({ model: kind, ...callsAtOnce(kind), parallel_tool_calls: false });
    const [{ message, finish_reason: reason }] = body.choices;
    expect([message.tool_calls?.length, reason, message.content]).toEqual([1, "tool_calls", null]);
    expect(JSON.parse(message.tool_calls[0].function.arguments)).toEqual(fits);
    const [call] = message.tool_calls;
    const answered = await chat({
      ...{ model: kind, tool_choice: "none", max_tokens: 5 },
      messages: [...asked.messages, message, { role: "tool", tool_call_id: call.id, content: '{"rain": true}' }],
    });
    expect(answered.status).toBe(200);
    expect(answered.body.choices[0].message).not.toHaveProperty("tool_calls");
    expect(answered.body.usage.prompt_tokens).toBeGreaterThan(20);
  });
});

describe("a request with tools", () => {
  it("is told that a call was cut", async () => {
    const { body } = await chat({ model: "hermes", tool_choice: "required", max_tokens: 70 });
    expect(body.choices[0].finish_reason).toBe("length");
    const stopped = await chat({ model: "hermes", tool_choice: "required", stop: '"city"' });
    expect(stopped.body.choices[0].finish_reason).toBe("length");
  });

  it("may be answered by several calls", async () => {
    // With another seed, the answer may contain only one call.
    const { body } = await chat({ model: "list", tool_choice: "required", max_tokens: 1900, seed: 5 });
    const [{ message, finish_reason: reason }] = body.choices;
    expect([message.tool_calls.length, reason]).toEqual([2, "tool_calls"]);
    for (const call of message.tool_calls) expect(JSON.parse(call.function.arguments)).toEqual(fits);
  });

  it("may ask for a form of the answer, too", async () => {
    const response_format = {
      type: "json_schema",
      json_schema: {
        name: "x",
        schema: { type: "object", properties: { on: { const: 1 } }, required: ["on"], additionalProperties: false },
      },
    };
    const { body } = await chat({
      model: "thinking",
      response_format,
      logit_bias: { [toolTokenizer.encode("{")[0] ?? -1]: 100 },
    });
    expect(JSON.parse(body.choices[0].message.content)).toEqual({ on: 1 });
    expect(body.choices[0].finish_reason).toBe("stop");
    const bare = await chat({ model: "bare", response_format });
    expect([bare.status, bare.body.error.param]).toEqual([400, "tools"]);
  });

  const bad = (parameters: unknown) => [{ type: "function", function: { name: "look", parameters } }];
  it.each([
    [
      { tools: bad({ type: "object", properties: { x: { maxLenght: 1 } } }) },
      "tools.0.function.parameters",
      /^tools\.0\.function\.parameters \(look\): #\/properties\/x\/maxLenght: must be a keyword/u,
    ],
    [
      { tools: bad({ type: "array" }) },
      "tools.0.function.parameters.type",
      /^tools\.0\.function\.parameters\.type \(look\): must be object; got "array"/u,
    ],
    [
      { tools: bad(undefined), tool_choice: { type: "function", function: { name: "loop" } } },
      "tool_choice",
      /must name one/u,
    ],
    [{ tools: [], tool_choice: "required" }, "tool_choice", /needs tools/u],
    [{ tools: [{ type: "custom", custom: { name: "x" } }] }, "tools.0.type", /must be function/u],
    [{ tools: bad(undefined).concat(bad(undefined)) }, "tools", /different names/u],
    [{ messages: [{ role: "tool", tool_call_id: "a", content: "Hi" }] }, undefined, /must come after the message/u],
  ])("is refused by name: %j", async (fields, param, message) => {
    const { status, body } = await chat({ model: "hermes", ...(fields as Body) });
    expect(status).toBe(400);
    expect(body.error.message).toMatch(message);
    if (param !== undefined) expect(body.error.param).toBe(param);
  });

  it("is refused by name where the arguments of a call are nested deep", async () => {
    const call = { name: "look", arguments: `{"a":${"[".repeat(9999)}${"]".repeat(9999)}}` };
    const answer = { role: "assistant", tool_calls: [{ id: "a", type: "function", function: call }] };
    const { status, body } = await chat({ model: "hermes", messages: [...asked.messages, answer] });
    expect([status, body.error.param]).toEqual([400, "messages.1.tool_calls.0.function.arguments"]);
    expect(body.error.message).toMatch(
      /^messages\.1\.tool_calls\.0\.function\.arguments: must be nested at most 64 levels deep/u,
    );
  });
});

describe("clients", () => {
  it("of OpenAI get the same calls from a stream, and from responses", async () => {
    const client = new OpenAI({ baseURL: baseURL(), apiKey: "none", maxRetries: 0 });
    const runner = client.chat.completions.stream({
      ...{ model: "hermes", messages: [{ role: "user", content: "Hi" }], seed: 1, max_tokens: 400 },
      tools: [{ type: "function", function: { ...weather, parameters: { ...weather.parameters } } }],
      ...{ tool_choice: "required", parallel_tool_calls: false },
    });
    const [choice] = (await runner.finalChatCompletion()).choices;
    const [call] = choice?.message.tool_calls ?? [];
    expect(call?.type === "function" && JSON.parse(call.function.arguments)).toEqual(fits);
    const response = await client.responses.create({
      ...{ model: "list", input: "Hi", tool_choice: "required", parallel_tool_calls: false },
      tools: [{ type: "function", name: weather.name, parameters: { ...weather.parameters }, strict: true }],
    });
    const [item] = response.output;
    expect(item).toMatchObject({ type: "function_call", name: "get_weather", status: "completed" });
    expect(JSON.parse(item?.type === "function_call" ? item.arguments : "")).toEqual(fits);
  });

  const openai = () => createOpenAI({ baseURL: baseURL(), apiKey: "none" });
  const models: readonly (readonly [string, (name: string) => LanguageModel])[] = [
    ["openai(id), which is responses", (name) => openai()(name)],
    ["openai.chat", (name) => openai().chat(name)],
  ];
  it.each(models)("of the AI SDK run the tool and send its result: %s", async (_, modelOf) => {
    const seen: unknown[] = [];
    // The cast is needed because the SDK's types do not fit `exactOptionalPropertyTypes`.
    const given = {
      get_weather: tool({
        description: weather.description,
        inputSchema: jsonSchema({
          ...weather.parameters,
          required: ["city", "days"],
          properties: { city: { enum: ["Oslo"] }, days: { type: "integer", minimum: 1, maximum: 3 } },
        }),
        execute: async (input) => {
          seen.push(input);
          return { rain: true };
        },
      }),
    } as unknown as ToolSet;
    // Several calls could need more tokens than there are, and then the SDK runs none of them.
    const providerOptions = { openai: { parallelToolCalls: false } };
    const settings = {
      prompt: "Hi",
      tools: given,
      maxRetries: 0,
      temperature: 1,
      maxOutputTokens: 400,
      providerOptions,
    };
    const { steps } = await generateText({
      ...{ ...settings, model: modelOf("hermes"), stopWhen: stepCountIs(2) },
      prepareStep: ({ stepNumber }) => (stepNumber === 0 ? { toolChoice: "required" } : { toolChoice: "none" }),
    });
    expect(seen.length).toBeGreaterThan(0);
    for (const input of seen) expect(input).toEqual({ city: "Oslo", days: expect.any(Number) });
    expect(steps.map(({ finishReason }) => finishReason)[0]).toBe("tool-calls");
    expect(steps[1]?.toolCalls).toEqual([]);
    const streamed = streamText({ ...settings, model: modelOf("thinking"), toolChoice: "required" });
    const types: string[] = [];
    for await (const { type } of streamed.fullStream) types.push(type);
    expect(types).toEqual(expect.arrayContaining(["tool-input-start", "tool-input-delta", "tool-call", "tool-result"]));
    expect(await streamed.finishReason).toBe("tool-calls");
  });
});
