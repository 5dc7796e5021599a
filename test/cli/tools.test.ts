import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createChatSession } from "#foretoken/cli/interactive/chat-session.js";
import type { Settings } from "#foretoken/cli/interactive/settings.js";
import { toolPartner } from "#foretoken/cli/interactive/tool-partner.js";
import { generate } from "#foretoken/generate/generate.js";
import { type GenerateOptions, generateDefaults } from "#foretoken/generate/options.js";
import { chatWithTools, type ToolChatDoneEvent, type ToolMessage } from "#foretoken/index.js";
import { openToolModel, toolTemplates, toolTokenizer, weather, writeToolModel } from "../support/tool-chats.ts";
import { cli, workplace } from "./cli.ts";

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  await writeToolModel(join(cwd, "caller"), toolTemplates.bare);
  await writeFile(
    join(cwd, "tools.json"),
    JSON.stringify([{ type: "function", function: { ...weather, strict: true } }]),
  );
  await writeFile(join(cwd, "own.json"), JSON.stringify([weather]));
  await writeFile(join(cwd, "none.json"), "[]");
  const wrong = { name: "x", parameters: { type: "object", properties: { a: { maxLenght: 1 } } } };
  await writeFile(join(cwd, "wrong.json"), JSON.stringify([weather, wrong]));
  await writeFile(join(cwd, "array.json"), JSON.stringify([{ name: "x", parameters: { type: "array" } }]));
  await writeFile(join(cwd, "odd.json"), JSON.stringify([{ name: "a b" }]));
});
afterAll(() => remove());

describe("chatWithTools", () => {
  const answerOf = async (
    lm: Awaited<ReturnType<typeof openToolModel>>,
    messages: readonly ToolMessage[],
    more: object,
  ): Promise<{ text: string; done: ToolChatDoneEvent }> => {
    let text = "";
    let done: ToolChatDoneEvent | undefined;
    const options = { messages, tools: [weather], temperature: 1, seed: 1, maxNewTokens: 300, ...more };
    for await (const event of chatWithTools(lm, options)) {
      if (event.type === "done") done = event;
      else if (event.type === "call") text += `${event.call} ${event.name} `;
      else text += event.text;
    }
    if (done === undefined) throw new Error("no end");
    return { text, done };
  };

  test("yields a call, takes its result, and goes on", async () => {
    const lm = await openToolModel(toolTemplates.list);
    const messages: ToolMessage[] = [{ role: "user", content: "Hi" }];
    const asked = { toolChoice: "required", parallelToolCalls: false };
    const { text, done } = await answerOf(lm, messages, asked);
    expect(done.finishReason).toBe("toolCalls");
    if (!("toolCalls" in done.message)) throw new Error("no calls");
    const [call] = done.message.toolCalls;
    expect(call).toMatchObject({
      name: "get_weather",
      arguments: { city: expect.any(String), days: expect.any(Number) },
    });
    expect(JSON.parse(text.slice("0 get_weather ".length))).toEqual(call?.arguments);
    messages.push(done.message, { role: "tool", toolCallId: call?.id ?? "", content: "rain" });
    const next = await answerOf(lm, messages, { toolChoice: "none", maxNewTokens: 3 });
    expect(next.done.message).toEqual({ role: "assistant", content: next.text });
    expect(next.done.promptTokens).toBeGreaterThan(done.promptTokens - JSON.stringify([weather]).length);
    const cut = await answerOf(lm, messages.slice(0, 1), { ...asked, maxNewTokens: 60 });
    expect([cut.done.finishReason, cut.done.message]).toEqual(["length", { role: "assistant", content: "" }]);
    await lm.close();
  });

  test("is used as the guide shows", async () => {
    const model = await openToolModel(toolTemplates.bare);
    const { tokenizer, chatTemplate, endTokens } = model;
    const lm = {
      ...{ config: model.model.config, tokenizer, chatTemplate, endTokens },
      generate: (options: GenerateOptions) => generate(model, { ...options, maxNewTokens: 1500 }),
    };
    const run = (name: string, given: object): string => `${name} ${JSON.stringify(given)}`;
    const properties = { city: { enum: ["Oslo", "Rome"] } };
    const parameters = { type: "object", properties, required: ["city"], additionalProperties: false };
    const weather = { name: "weather", description: "The weather of a city.", parameters };
    const messages: ToolMessage[] = [{ role: "user", content: "Do I need an umbrella in Oslo?" }];
    for await (const event of chatWithTools(lm, { messages, tools: [weather], toolChoice: "required" })) {
      if (event.type === "text") process.stdout.write(event.text);
      if (event.type !== "done") continue;
      messages.push(event.message);
      if (!("toolCalls" in event.message)) continue;
      for (const { id, name, arguments: given } of event.message.toolCalls) {
        messages.push({ role: "tool", toolCallId: id, content: run(name, given) });
      }
    }
    expect(messages[1]).toMatchObject({ role: "assistant", content: "" });
    expect(messages[2]).toMatchObject({
      role: "tool",
      content: expect.stringMatching(/^weather \{.*"city":"(Oslo|Rome)"/u),
    });
    await model.close();
  });

  test("names what it cannot do", async () => {
    const lm = await openToolModel("{{ messages[0].content }}");
    const messages: ToolMessage[] = [{ role: "user", content: "Hi" }];
    await expect(answerOf(lm, messages, {})).rejects.toThrow(
      /a template that does not show tools to the model; try a model/u,
    );
    await expect(answerOf(lm, messages, { tools: [] })).rejects.toThrow(/tools: must/u);
    const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) });
    const called = (levels: number): ToolMessage => ({
      ...{ role: "assistant", content: "" },
      toolCalls: [{ id: "a", name: "x", arguments: { a: nested(levels) } }],
    });
    await expect(answerOf(lm, [...messages, called(5000)], {})).rejects.toThrow(
      /^chatWithTools\.messages\.1\.toolCalls\.0\.arguments: must be nested at most 64 levels deep/u,
    );
    await expect(answerOf(lm, [...messages, called(63)], {})).rejects.toThrow(
      /a template that does not show tools to the model/u,
    );
    const deepTool = { name: "x", parameters: { properties: nested(5000) } };
    await expect(answerOf(lm, messages, { tools: [deepTool] })).rejects.toThrow(
      /^chatWithTools\.tools\.0\.parameters: must be nested at most 64 levels deep/u,
    );
    await expect(answerOf(lm, messages, { toolChoice: { name: "x" } })).rejects.toThrow(/must name one of the tools/u);
    await expect(answerOf(lm, [{ role: "tool", toolCallId: "a", content: "b" }], {})).rejects.toThrow(
      /must come after/u,
    );
    await lm.close();
  });
});

describe("chat --tools", () => {
  const about = ["--backend", "reference", "--temperature", "1", "--max-new-tokens", "300"];

  test.each(["tools.json", "own.json"])("takes a file of tools in either form: %s", async (file) => {
    const flags = [...about.slice(0, -1), "3", "--tools", file];
    expect((await cli(["chat", "caller", ...flags], { cwd, input: "Hi\n" })).status).toBe(0);
  });

  test("shows calls, asks for their results, and goes on", async () => {
    const lm = await openToolModel(toolTemplates.bare);
    const { tokenizer, chatTemplate, endTokens } = lm;
    const prompts: string[] = [];
    // A bias makes each answer begin with a tool call, as in a model that was trained for tools.
    const logitBias = { [toolTokenizer.encode("{")[0] ?? -1]: 100 };
    const caller = {
      ...{ config: lm.model.config, tokenizer, chatTemplate, endTokens },
      generate: (options: GenerateOptions) => {
        prompts.push(tokenizer.decode(options.prompt as Int32Array, { showSpecialTokens: true }));
        return generate(lm, { ...options, logitBias });
      },
    };
    const told: string[] = [];
    const settings = { ...generateDefaults, maxNewTokens: 400, temperature: 1 } as Settings;
    const start = { settings, system: undefined };
    const session = createChatSession(toolPartner(caller, [weather]), start, (line) => void told.push(line));
    const write = async (line: string): Promise<string> => {
      const request = session.ask(line, new AbortController().signal);
      if (request.kind !== "write") throw new Error(request.kind);
      let text = "";
      for await (const event of request.events) if (event.type === "token") text += event.text;
      return text;
    };
    const call = /^get_weather \{\s*"[\s\S]*\}$/u;
    expect(await write("Hi")).toMatch(call);
    expect(told).toEqual(["type the result of get_weather in one line:"]);
    expect(session.ask("", new AbortController().signal)).toEqual({ kind: "tell", lines: [] });
    expect(await write('{"rain": true}')).toMatch(call);
    expect(prompts[1]).toMatch(/\{"name": "get_weather", "parameters": \{.*<\|im_start\|>tool\n\{"rain": true\}/su);
    expect(await write("/again")).toMatch(call);
    expect(prompts[2]).toBe(prompts[1]);
    await lm.close();
  });

  test.each([
    [["--tools", "missing.json"], /^foretoken: --tools: must be a file/u],
    [["--tools", "none.json"], /^foretoken: --tools none.json.*: must/u],
    [["--tools", "odd.json"], /^foretoken: .*name: must be 1 to 64 letters/u],
    [
      ["--tools", "wrong.json"],
      /^foretoken: --tools wrong\.json: 1\.parameters \(x\): #\/properties\/a\/maxLenght: must be a keyword/u,
    ],
    [["--tools", "array.json"], /^foretoken: --tools array\.json: 0\.parameters\.type \(x\): must be object/u],
    [
      ["--tools", "tools.json", "--choice", "a"],
      /^foretoken: --tools and --choice: cannot be combined: only one flag/u,
    ],
    [["--tools", "tools.json", "--json"], /^foretoken: --tools and --json: cannot be combined: a person/u],
  ])("is refused in a line: %j", async (flags, message) => {
    const { status, stderr } = await cli(["chat", "caller", ...about, ...flags], { cwd, input: "Hi\n" });
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
  });
});
