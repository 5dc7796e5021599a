/** Uses the AI SDK with its two providers, without changes, with a server. */
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, type LanguageModel, Output, streamText, type ToolSet, tool } from "ai";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { useServer } from "../../support/openai-server.ts";

const server = useServer();
const baseURL = (): string => `${server.url()}/v1`;
const openai = () => createOpenAI({ baseURL: baseURL(), apiKey: "none" });
const compatible = () => createOpenAICompatible({ name: "foretoken", baseURL: baseURL(), includeUsage: true });

const kinds: readonly (readonly [string, () => LanguageModel])[] = [
  ["openai(id), which is responses", () => openai()("talk")],
  ["openai.responses", () => openai().responses("talk")],
  ["openai.chat", () => openai().chat("talk")],
  ["openai.completion", () => openai().completion("plain")],
  ["compatible(id)", () => compatible()("talk")],
  ["compatible.completionModel", () => compatible().completionModel("plain")],
];

describe.each(kinds)("%s", (_, model) => {
  const settings = { prompt: "Hi so", temperature: 0, maxOutputTokens: 9, maxRetries: 0 };

  it("writes a text, and the same one as a stream", async () => {
    const { text, usage, finishReason, warnings } = await generateText({ model: model(), ...settings });
    expect(text).not.toBe("");
    expect(["stop", "length"]).toContain(finishReason);
    expect(usage.outputTokens).toBeGreaterThan(0);
    expect(warnings ?? []).toEqual([]);
    const streamed = streamText({ model: model(), ...settings });
    let together = "";
    for await (const delta of streamed.textStream) together += delta;
    expect(together).toBe(text);
    expect(await streamed.finishReason).toBe(finishReason);
    expect((await streamed.usage).outputTokens).toBe(usage.outputTokens);
  });

  it("is freed where the program leaves", async () => {
    let isAborted = false;
    // A text may be complete before the abort.
    for (let attempt = 0; attempt < 20 && !isAborted; attempt++) {
      const controller = new AbortController();
      const { fullStream } = streamText({
        ...{ model: model(), ...settings, temperature: 1, maxOutputTokens: 1_000_000, abortSignal: controller.signal },
        onError: () => {},
      });
      for await (const { type } of fullStream) {
        if (type === "text-delta") controller.abort();
        isAborted ||= type === "abort";
      }
    }
    expect(isAborted).toBe(true);
    await server.untilIdle();
  });

  it("takes a system prompt and a conversation, where the model does", async () => {
    const { text } = await generateText({
      ...{ model: model(), maxRetries: 0, maxOutputTokens: 5, temperature: 0, system: "so be it" },
      messages: [
        { role: "user", content: "Hi" },
        { role: "assistant", content: "yes" },
        { role: "user", content: "why" },
      ],
    });
    expect(typeof text).toBe("string");
  });
});

/** The error of a call that must fail. */
const failureOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

describe("what the SDK tells of a failure", () => {
  it.each(kinds.slice(2, 5))("has the status and the words of the server: %s", async (_, model) => {
    const failure = await failureOf(generateText({ model: model(), prompt: "Hi", temperature: 7, maxRetries: 0 }));
    expect(failure).toMatchObject({ statusCode: 400, message: "temperature: must be at most 2; got 7" });
  });

  it.each(kinds.slice(0, 3))("names the schema of an answer that its model cannot write: %s", async (_, model) => {
    const output = Output.object({ schema: z.object({ who: z.string() }) });
    const failure = await failureOf(generateText({ model: model(), prompt: "Hi", output, maxRetries: 0 }));
    expect(failure).toMatchObject({
      statusCode: 400,
      message: expect.stringMatching(
        /^(?:text\.format|response_format\.json_schema)\.schema: .*this vocabulary can write/u,
      ),
    });
  });

  it.each(kinds.filter((_, i) => i === 0 || i === 2))(
    "names the tools that its model cannot call: %s",
    async (_, model) => {
      // The cast is needed because the SDK's types do not fit `exactOptionalPropertyTypes`.
      const tools = { look: tool({ inputSchema: z.object({ at: z.string() }) }) } as unknown as ToolSet;
      const failure = await failureOf(generateText({ model: model(), prompt: "Hi", tools, maxRetries: 0 }));
      expect(failure).toMatchObject({
        statusCode: 400,
        message: expect.stringMatching(/^tools: the model's chat template must write tool calls/u),
      });
    },
  );
});
