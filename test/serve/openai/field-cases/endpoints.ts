/** The addresses of the server. Each supported field of an address has a case. */
import { expect } from "vitest";
import { chatFields } from "#foretoken/serve/openai/chat-completions.js";
import { completionFields } from "#foretoken/serve/openai/completions.js";
import { responseFields } from "#foretoken/serve/openai/responses.js";
import { detokenizeFields, tokenizeFields } from "#foretoken/serve/openai/tokens.js";
import type { Body, JsonAnswer, TestServer } from "../../../support/openai-server.ts";
import { askOf, chat, completion, type Endpoint, ids, nameWrong, notWhole, response } from "./endpoint.ts";
import { sharedCases } from "./shared-cases.ts";
import { toolCases } from "./tool-cases.ts";

const wrongMessages: readonly unknown[] = [
  ...["Hi", [], [{ role: "user" }], [{ role: "judge", content: "Hi" }], [{ content: "Hi" }]],
  ...[[{ role: "user", content: [{ type: "image_url", image_url: { url: "a" } }] }], [{ role: "user", content: 5 }]],
  ...[[{ role: "tool", content: "Hi", tool_call_id: "a" }], [{ role: "user", content: "\ud800" }]],
  // Unknown fields inside messages. The server must refuse them, not ignore them.
  ...[[{ role: "user", content: "Hi", prefix: true }], [{ role: "user", content: "Hi", name: "Jo" }]],
  [{ role: "user", content: [{ type: "text", text: "Hi", cache_control: { type: "ephemeral" } }] }],
  [
    { role: "user", content: "Hi" },
    { role: "assistant", content: "yes", tool_calls: [{ id: "a" }] },
    { role: "user", content: "Hi" },
  ],
];

export const endpointsOf = (server: TestServer): readonly Endpoint[] => {
  const answerOf = askOf(server);
  const { samplingCases, choiceCases, tokensCase, promptOf } = sharedCases(server);
  const completionTexts = async (changes: Body): Promise<string[]> =>
    (await answerOf(completion.path, { ...completion.base, ...changes })).body.choices.map(({ text }: Body) => text);

  return [
    {
      ...completion,
      fields: completionFields,
      cases: {
        ...choiceCases(completion),
        prompt: {
          async shows() {
            const tokens = (await answerOf("/tokenize", { prompt: "the cat" })).body.tokens as number[];
            const [one = ""] = await completionTexts({});
            expect(await completionTexts({ prompt: tokens })).toEqual([one]);
            const [other = ""] = await completionTexts({ prompt: "the mat" });
            expect(await completionTexts({ prompt: ["the cat", "the mat"] })).toEqual([one, other]);
            expect(await completionTexts({ prompt: [tokens, ids] })).toHaveLength(2);
            expect(await completionTexts({ prompt: ["the mat", "the cat"], n: 2 })).toHaveLength(4);
          },
          wrong: [
            1,
            [],
            [[]],
            "",
            [""],
            ["a", 1],
            [1, "a"],
            [99999],
            [-1],
            "\ud800",
            "a".repeat(2000),
            Array(65).fill(5),
          ],
        },
        max_tokens: tokensCase(completion, "max_tokens", "completion_tokens", 0),
        logprobs: {
          async shows() {
            const [choice] = (await answerOf(completion.path, { ...completion.base, logprobs: 3 })).body.choices;
            expect(choice.logprobs.tokens).toHaveLength(4);
            const [none] = (await answerOf(completion.path, { ...completion.base, logprobs: 0 })).body.choices;
            expect(none.logprobs).toMatchObject({ top_logprobs: null, token_logprobs: choice.logprobs.token_logprobs });
          },
          wrong: [21, true, ...notWhole],
        },
        echo: {
          async shows() {
            const [text = ""] = await completionTexts({});
            expect(await completionTexts({ echo: true })).toEqual([`the cat${text}`]);
          },
          wrong: [1, "true"],
        },
        best_of: {
          async shows() {
            const asked = { ...completion.base, logprobs: 1 };
            const means = ({ body }: JsonAnswer): number[] =>
              body.choices.map(({ logprobs: { token_logprobs: of } }: { logprobs: { token_logprobs: number[] } }) =>
                of.reduce((sum, one) => sum + one / of.length, 0),
              );
            const all = means(await answerOf(completion.path, { ...asked, n: 4 }));
            const best = await answerOf(completion.path, { ...asked, n: 2, best_of: 4 });
            expect(means(best)).toEqual(all.toSorted((a, b) => b - a).slice(0, 2));
            expect(best.body.usage.completion_tokens).toBe(16);
          },
          wrong: [0, 129, ...notWhole],
        },
      },
    },
    {
      ...chat,
      fields: chatFields,
      cases: {
        ...choiceCases(chat),
        ...toolCases(
          server,
          chat,
          { type: "function", function: { name: "look" } },
          { type: "function", function: { name: "see" } },
        ),
        response_format: {
          async shows() {
            // The tokens of this model are letters, which cannot form JSON. So each JSON format is refused, and the
            // error names this field.
            const given = { ...chat.base, response_format: { type: "json_object" } };
            const { status, body } = await server.post(chat.path, given);
            expect([status, body.error.param]).toEqual([400, "response_format"]);
            await answerOf(chat.path, { ...chat.base, response_format: { type: "text" } });
          },
          wrong: [1, "text", []],
        },
        messages: {
          async shows() {
            const count = (messages: readonly Body[]) =>
              promptOf(chat.path, { ...chat.base, messages }, "prompt_tokens");
            const system = await count([
              { role: "system", content: "so" },
              { role: "user", content: "Hi" },
            ]);
            const parts = await count([
              { role: "developer", content: [{ type: "text", text: "so" }] },
              {
                role: "user",
                content: [
                  { type: "text", text: "H" },
                  { type: "text", text: "i" },
                ],
                name: null,
              },
            ]);
            expect(system).toBeGreaterThan(await promptOf(chat.path, chat.base, "prompt_tokens"));
            // The template writes the role's name, which is the same in both requests.
            expect(parts).toBe(system);
          },
          wrong: wrongMessages,
        },
        max_tokens: tokensCase(chat, "max_tokens", "completion_tokens", 1),
        max_completion_tokens: tokensCase(chat, "max_completion_tokens", "completion_tokens", 1),
        logprobs: {
          async shows() {
            const [choice] = (await answerOf(chat.path, { ...chat.base, logprobs: true })).body.choices;
            expect(choice.logprobs.content).toHaveLength(4);
            for (const { top_logprobs } of choice.logprobs.content) expect(top_logprobs).toEqual([]);
            expect((await answerOf(chat.path, chat.base)).body.choices[0].logprobs).toBeNull();
          },
          wrong: [1, "true"],
        },
        top_logprobs: {
          async shows() {
            const [choice] = (await answerOf(chat.path, { ...chat.base, logprobs: true, top_logprobs: 4 })).body
              .choices;
            for (const { top_logprobs } of choice.logprobs.content) expect(top_logprobs).toHaveLength(4);
            expect((await server.post(chat.path, { ...chat.base, top_logprobs: 4 })).body.error.param).toBe(
              "top_logprobs",
            );
          },
          wrong: [21, ...notWhole],
        },
      },
    },
    {
      ...response,
      fields: responseFields,
      cases: {
        ...samplingCases(response),
        ...toolCases(server, response, { type: "function", name: "look" }, { type: "function", name: "see" }),
        text: {
          async shows() {
            // The tokens of this model are letters, which cannot form JSON. So each JSON format is refused, and the
            // error names this field.
            const given = { ...response.base, text: { format: { type: "json_object" } } };
            const { status, body } = await server.post(response.path, given);
            expect([status, body.error.param]).toEqual([400, "text.format"]);
            await answerOf(response.path, { ...response.base, text: { format: { type: "text" } } });
          },
          wrong: [1, "text"],
        },
        input: {
          async shows() {
            const message = { type: "message", role: "user", content: [{ type: "input_text", text: "Hi" }] };
            expect(response.textOf(await answerOf(response.path, { ...response.base, input: [message] }))).toBe(
              response.textOf(await answerOf(response.path, response.base)),
            );
            expect(await promptOf(response.path, { ...response.base, input: "Hi so" }, "input_tokens")).toBe(
              3 + (await promptOf(response.path, response.base, "input_tokens")),
            );
          },
          wrong: [
            ...[1, [], [{ type: "function_call_output", output: "a" }], [{ role: "user", content: "Hi", other: 1 }]],
            ...[[{ role: "user", content: 1 }], "\ud800"],
          ],
        },
        instructions: {
          async shows() {
            expect(
              await promptOf(response.path, { ...response.base, instructions: "so" }, "input_tokens"),
            ).toBeGreaterThan(await promptOf(response.path, response.base, "input_tokens"));
          },
          wrong: [1, [], "\ud800"],
        },
        max_output_tokens: tokensCase(
          { path: response.path, base: { ...response.base, temperature: 0 } },
          "max_output_tokens",
          "output_tokens",
          1,
        ),
        top_logprobs: {
          async shows() {
            const asked = { ...response.base, include: ["message.output_text.logprobs"], top_logprobs: 2 };
            const [part] = (await answerOf(response.path, asked)).body.output[0].content;
            for (const { top_logprobs } of part.logprobs) expect(top_logprobs).toHaveLength(2);
          },
          wrong: [21, ...notWhole],
        },
        include: {
          async shows() {
            const asked = {
              ...response.base,
              include: ["message.output_text.logprobs", "reasoning.encrypted_content"],
            };
            const [part] = (await answerOf(response.path, asked)).body.output[0].content;
            expect(part.logprobs.length).toBeGreaterThan(0);
            expect((await answerOf(response.path, response.base)).body.output[0].content[0].logprobs).toEqual([]);
          },
          wrong: ["message.output_text.logprobs", ["file_search_call.results"], [1]],
        },
        stream_options: {
          async shows() {
            const asked = { ...response.base, stream: true, stream_options: { include_obfuscation: false } };
            expect(await (await server.send(response.path, asked)).text()).not.toContain("obfuscation");
            expect((await server.post(response.path, { ...response.base, stream_options: {} })).body.error.param).toBe(
              "stream_options",
            );
          },
          wrong: [{ include_usage: true }, true],
        },
      },
    },
    {
      path: "/tokenize",
      fields: tokenizeFields,
      base: { model: "talk", prompt: "so" },
      textOf: ({ body }) => JSON.stringify(body),
      cases: {
        model: {
          async shows() {
            expect((await answerOf("/tokenize", { prompt: "Hi" })).body.max_model_len).toBe(64);
            expect((await answerOf("/tokenize", { prompt: "Hi", model: "talk" })).body.max_model_len).toBe(96);
          },
          wrong: nameWrong,
        },
        prompt: {
          async shows() {
            const { body } = await answerOf("/tokenize", { prompt: "the cat<|endoftext|>", model: "plain" });
            expect(body).toMatchObject({ count: 3, tokens: expect.any(Array) });
          },
          wrong: [1, ["a"], "\ud800"],
        },
        messages: {
          async shows() {
            const { tokens } = (await answerOf("/tokenize", { model: "talk", messages: chat.base.messages })).body;
            expect(tokens).toHaveLength(await promptOf(chat.path, chat.base, "prompt_tokens"));
          },
          wrong: [],
        },
        add_special_tokens: {
          async shows() {
            const both = [true, false].map((add_special_tokens) =>
              answerOf("/tokenize", { prompt: "a", add_special_tokens }),
            );
            const [on, off] = await Promise.all(both);
            expect(on?.body).toEqual(off?.body);
          },
          wrong: [1],
        },
        add_generation_prompt: {
          async shows() {
            await answerOf("/tokenize", { model: "talk", messages: chat.base.messages, add_generation_prompt: true });
          },
          wrong: [false, 1],
        },
      },
    },
    {
      path: "/detokenize",
      fields: detokenizeFields,
      base: { model: "plain", tokens: ids },
      textOf: ({ body }) => body.prompt,
      cases: {
        model: {
          async shows() {
            expect((await server.post("/detokenize", { model: "another", tokens: [1] })).status).toBe(404);
          },
          wrong: nameWrong,
        },
        tokens: {
          async shows() {
            const { tokens } = (await answerOf("/tokenize", { prompt: "the cat é €" })).body;
            expect((await answerOf("/detokenize", { tokens })).body.prompt).toBe("the cat é €");
            expect((await answerOf("/detokenize", { tokens: [] })).body.prompt).toBe("");
          },
          wrong: ["a", [-1], [99999], [0.5]],
        },
      },
    },
  ];
};
