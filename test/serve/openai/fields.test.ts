/** Every field of the tables of requests does what the table says of it. */
import { describe, expect, it } from "vitest";
import { chatFields } from "#foretoken/serve/openai/chat-completions.js";
import { completionFields } from "#foretoken/serve/openai/completions.js";
import type { Fields } from "#foretoken/serve/openai/fields.js";
import { responseFields } from "#foretoken/serve/openai/responses.js";
import { detokenizeFields, tokenizeFields } from "#foretoken/serve/openai/tokens.js";
import { type Body, dataOf, type JsonAnswer, noEnd, plainNoEnd, useServer } from "../../support/openai-server.ts";

const server = useServer();

/** An honoured field. */
interface Case {
  /** Shows that it decides about the answer. */
  readonly shows: () => Promise<void>;
  /** Values that are refused by its name. */
  readonly wrong: readonly unknown[];
}

interface Endpoint {
  readonly path: string;
  readonly fields: Fields;
  /** A request with a seed, whose text is some tokens long. */
  readonly base: Body;
  readonly textOf: (answer: JsonAnswer) => string;
  readonly cases: Readonly<Record<string, Case>>;
}

const answerOf = async (path: string, body: Body): Promise<JsonAnswer> => {
  const answer = await server.post(path, body);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer;
};

/** Numbers that are none of a field from 0 on. */
const notWhole = [-1, 1.5, "1", true, []];

/** The cases of tools: the model of these tests has none, and says so. Those of tools.test.ts have them. */
const toolCases = ({ path, base }: Pick<Endpoint, "path" | "base">, tool: unknown, named: unknown) => {
  const refusedFor = async (changes: Body): Promise<string> => {
    const { status, body } = await server.post(path, { ...base, ...changes });
    expect(status).toBe(400);
    return body.error.param;
  };
  return {
    tools: {
      async shows() {
        expect(await refusedFor({ tools: [tool] })).toBe("tools");
        await answerOf(path, { ...base, tools: [tool], tool_choice: "none" });
        await answerOf(path, { ...base, tools: [] });
      },
      wrong: [1, {}, [1], [{ type: "custom" }], [{ ...(tool as Body), other: 1 }], Array(129).fill(tool)],
    },
    tool_choice: {
      async shows() {
        expect(await refusedFor({ tool_choice: "required" })).toBe("tool_choice");
        expect(await refusedFor({ tools: [tool], tool_choice: named })).toBe("tool_choice");
        await answerOf(path, { ...base, tool_choice: "auto" });
      },
      wrong: [1, "all", { type: "function" }, { type: "allowed_tools" }],
    },
    parallel_tool_calls: {
      shows: async () => void (await answerOf(path, { ...base, parallel_tool_calls: false })),
      wrong: [1, "true"],
    },
  } satisfies Record<string, Case>;
};

/** The cases of how tokens are chosen, which requests of all kinds have. */
const samplingCases = ({ path, base, textOf }: Omit<Endpoint, "cases" | "fields">) => {
  const text = async (changes: Body): Promise<string> => textOf(await answerOf(path, { ...base, ...changes }));
  /** The only text of settings that leave the likeliest token alone. */
  const isGreedy = async (changes: Body): Promise<void> => {
    const greedy = await text({ temperature: 0 });
    expect(await text({ ...changes, seed: 1 })).toBe(greedy);
  };
  const differs = async (changes: Body, from: Body = {}): Promise<void> => {
    expect(await text({ ...from, ...changes })).not.toBe(await text(from));
  };
  return {
    temperature: { shows: () => isGreedy({ temperature: 0 }), wrong: [-0.1, 2.1, "1", true] },
    top_p: { shows: () => isGreedy({ top_p: 0 }), wrong: [-0.1, 1.1, "1"] },
    top_k: { shows: () => isGreedy({ top_k: 1 }), wrong: [-2, 0.5, "1"] },
    min_p: { shows: () => isGreedy({ min_p: 1 }), wrong: [-0.1, 1.1, "1"] },
    typical_p: { shows: () => differs({ typical_p: 0.01 }), wrong: [-0.1, 1.1, "1"] },
    repetition_penalty: {
      shows: () => differs({ repetition_penalty: 100 }, { temperature: 0 }),
      wrong: [0, -1, 101, "1"],
    },
    seed: {
      async shows() {
        expect(await text({ seed: 5 })).toBe(await text({ seed: 5 }));
        await differs({ seed: 8 });
        await differs({ seed: -8 });
        // Without one each request has another.
        const { seed: _, ...without } = base;
        const texts = [1, 2, 3].map(async () => textOf(await answerOf(path, without)));
        expect(new Set(await Promise.all(texts)).size).toBeGreaterThan(1);
      },
      wrong: [0.5, "1", 2 ** 60],
    },
    model: {
      async shows() {
        const { body } = await answerOf(path, base);
        expect(body.model).toBe(base.model);
        const { status } = await server.post(path, { ...base, model: "another" });
        expect(status).toBe(404);
      },
      wrong: [1, ["plain"], {}],
    },
    stream: {
      async shows() {
        const response = await server.send(path, { ...base, stream: true });
        expect(response.headers.get("content-type")).toContain("text/event-stream");
        expect(dataOf(await response.text()).length).toBeGreaterThan(2);
        expect((await server.send(path, { ...base, stream: false })).headers.get("content-type")).toContain("json");
      },
      wrong: ["true", 1],
    },
  } satisfies Record<string, Case>;
};

/** Those that completions and chat completions share. */
const choiceCases = (endpoint: Omit<Endpoint, "cases" | "fields">) => {
  const { path, base, textOf } = endpoint;
  const text = async (changes: Body): Promise<string> => textOf(await answerOf(path, { ...base, ...changes }));
  const differs = async (changes: Body): Promise<void> => {
    expect(await text({ temperature: 0, ...changes })).not.toBe(await text({ temperature: 0 }));
  };
  return {
    ...samplingCases(endpoint),
    n: {
      async shows() {
        const { choices } = (await answerOf(path, { ...base, n: 3 })).body;
        expect(choices.map(({ index }: Body) => index)).toEqual([0, 1, 2]);
        const { choices: first } = (await answerOf(path, base)).body;
        expect(choices[0]).toEqual(first[0]);
      },
      wrong: [0, 129, ...notWhole],
    },
    stop: {
      async shows() {
        const whole = await text({});
        const stop = [...whole].slice(-2).join("");
        const cut = whole.slice(0, whole.indexOf(stop));
        for (const given of [stop, ["never in it", stop]]) {
          const answer = await answerOf(path, { ...base, stop: given });
          expect(textOf(answer)).toBe(cut);
          expect(answer.body.choices[0].finish_reason).toBe("stop");
        }
        expect(await text({ stop: [] })).toBe(whole);
      },
      wrong: ["", [""], 1, [1], Array(17).fill("a")],
    },
    presence_penalty: { shows: () => differs({ presence_penalty: 2 }), wrong: [-2.1, 2.1, "1"] },
    frequency_penalty: { shows: () => differs({ frequency_penalty: 2 }), wrong: [-2.1, 2.1, "1"] },
    logit_bias: {
      async shows() {
        const one = await text({ logit_bias: { 5: 100 } });
        expect(new Set(one).size).toBe(1);
        const { status, body } = await server.post(path, { ...base, logit_bias: { 99999: 1 } });
        expect([status, body.error.param]).toEqual([400, "logit_bias"]);
      },
      wrong: [{ a: 1 }, { 5: 101 }, { 5: "1" }, [], "5"],
    },
    guided_choice: {
      shows: async () => expect(["so", "no"]).toContain(await text({ guided_choice: ["so", "no"] })),
      wrong: [[], "so", [1]],
    },
    guided_regex: {
      shows: async () => expect(await text({ guided_regex: "[ab]{3}" })).toMatch(/^[ab]{3}$/u),
      wrong: [1, "(?=a)", ["a"]],
    },
    guided_grammar: {
      shows: async () => expect(await text({ guided_grammar: 'root ::= "a" root? "b"' })).toMatch(/^a+b*$/u),
      wrong: [1, "start ::= 1"],
    },
    guided_json: {
      async shows() {
        const { status, body } = await server.post(path, { ...base, max_tokens: 9, guided_json: { const: 12 } });
        // A vocabulary without digits is told so.
        if (status === 200) expect(JSON.parse(body.choices[0].text)).toBe(12);
        else expect([status, body.error.param]).toEqual([400, "guided_json"]);
      },
      wrong: [1, "a", { maxLenght: 1 }],
    },
    stream_options: {
      async shows() {
        const asked = { ...base, stream: true, stream_options: { include_usage: true, include_obfuscation: false } };
        const events = dataOf(await (await server.send(path, asked)).text());
        expect(events.at(-1)).toBe("[DONE]");
        const chunks = events.slice(0, -1).map((event) => JSON.parse(event));
        expect(chunks.at(-1)).toMatchObject({ choices: [], usage: (await answerOf(path, base)).body.usage });
        for (const { usage } of chunks.slice(0, -1)) expect(usage).toBeNull();
        const without = dataOf(await (await server.send(path, { ...base, stream: true })).text());
        expect(without.join()).not.toContain("usage");
        expect((await server.post(path, { ...base, stream_options: {} })).body.error.param).toBe("stream_options");
      },
      wrong: [{ more: true }, { include_usage: 1 }, true],
    },
  } satisfies Record<string, Case>;
};

const completion = {
  path: "/v1/completions",
  base: { model: "plain", prompt: "the cat", seed: 7, max_tokens: 4, logit_bias: plainNoEnd },
  textOf: ({ body }: JsonAnswer): string => body.choices[0].text,
};
const completionTexts = async (changes: Body): Promise<string[]> =>
  (await answerOf(completion.path, { ...completion.base, ...changes })).body.choices.map(({ text }: Body) => text);

const chat = {
  path: "/v1/chat/completions",
  base: { model: "talk", messages: [{ role: "user", content: "Hi" }], seed: 7, max_tokens: 4, logit_bias: noEnd },
  textOf: ({ body }: JsonAnswer): string => body.choices[0].message.content,
};

/** That a number of tokens is kept to, in requests that nothing else ends. */
const tokensCase = (
  { path, base }: Pick<Endpoint, "path" | "base">,
  field: string,
  counted: string,
  least: number,
): Case => ({
  async shows() {
    const { max_tokens: _, ...rest } = base;
    expect((await answerOf(path, { ...rest, [field]: 3 })).body.usage[counted]).toBe(3);
  },
  wrong: [least - 1, 1e6 + 1, 1.5, "3"],
});

const wrongMessages: readonly unknown[] = [
  ...["Hi", [], [{ role: "user" }], [{ role: "judge", content: "Hi" }], [{ content: "Hi" }]],
  ...[[{ role: "user", content: [{ type: "image_url", image_url: { url: "a" } }] }], [{ role: "user", content: 5 }]],
  ...[[{ role: "tool", content: "Hi", tool_call_id: "a" }], [{ role: "user", content: "\ud800" }]],
  // Fields that would be dropped.
  ...[[{ role: "user", content: "Hi", prefix: true }], [{ role: "user", content: "Hi", name: "Jo" }]],
  [{ role: "user", content: [{ type: "text", text: "Hi", cache_control: { type: "ephemeral" } }] }],
  [
    { role: "user", content: "Hi" },
    { role: "assistant", content: "yes", tool_calls: [{ id: "a" }] },
    { role: "user", content: "Hi" },
  ],
];

const response = {
  path: "/v1/responses",
  base: { model: "talk", input: "Hi", seed: 7, max_output_tokens: 6 },
  textOf: ({ body }: JsonAnswer): string => body.output[0].content[0].text,
};

const promptOf = async (path: string, body: Body, count: string): Promise<number> =>
  (await answerOf(path, body)).body.usage[count];

const ids = [116, 104, 101];
const nameWrong = [1, ["plain"]];

const endpoints: readonly Endpoint[] = [
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
      response_format: {
        async shows() {
          // The letters of this model write no JSON, so each form of it is refused by this field's name.
          const given = { ...chat.base, response_format: { type: "json_object" } };
          const { status, body } = await server.post(chat.path, given);
          expect([status, body.error.param]).toEqual([400, "response_format"]);
          await answerOf(chat.path, { ...chat.base, response_format: { type: "text" } });
        },
        wrong: [1, "text", []],
      },
      messages: {
        async shows() {
          const count = (messages: readonly Body[]) => promptOf(chat.path, { ...chat.base, messages }, "prompt_tokens");
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
          // The template writes the name of the role, which is the same.
          expect(parts).toBe(system);
        },
        wrong: wrongMessages,
      },
      ...toolCases(
        chat,
        { type: "function", function: { name: "look" } },
        { type: "function", function: { name: "see" } },
      ),
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
          const [choice] = (await answerOf(chat.path, { ...chat.base, logprobs: true, top_logprobs: 4 })).body.choices;
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
      ...toolCases(response, { type: "function", name: "look" }, { type: "function", name: "see" }),
      text: {
        async shows() {
          // The letters of this model write no JSON, so each form of it is refused by this field's name.
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
          const asked = { ...response.base, include: ["message.output_text.logprobs", "reasoning.encrypted_content"] };
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

/** That a value is refused, and by the name of its field. */
const expectRefused = async (
  { path, base }: Pick<Endpoint, "path" | "base">,
  name: string,
  value: unknown,
): Promise<JsonAnswer> => {
  const answer = await server.post(path, { ...base, [name]: value });
  const { status, body } = answer;
  expect(status, `${name}: ${JSON.stringify(value)}`).toBe(400);
  expect(body.error.type).toBe("invalid_request_error");
  expect(body.error.param.split(".")[0], JSON.stringify(body)).toBe(name);
  expect(body.error.message).toMatch(new RegExp(`^${name}\\b`, "u"));
  return answer;
};

describe.each(endpoints)("$path", (endpoint) => {
  const { path, fields, base, textOf, cases } = endpoint;
  const named = (kind: string): string[] =>
    Object.keys(fields).filter((name) => Object.hasOwn(fields, name) && fields[name]?.kind === kind);

  it("has a case for each field that it honours", () => {
    expect(Object.keys(cases).sort()).toEqual(named("honoured").sort());
  });

  it.each(Object.entries(cases))("honours %s, and refuses wrong values by its name", async (name, { shows, wrong }) => {
    await shows();
    for (const value of wrong) await expectRefused(endpoint, name, value);
  });

  it("accepts the default of fields that it does not have, and nothing else", async () => {
    const expected = textOf(await answerOf(path, base));
    const names = named("default");
    const accepted = names.map((name) => {
      const field = fields[name];
      return field?.kind === "default" ? [null, ...field.accepts] : [];
    });
    // All first ones together, then all second ones, and so on.
    for (let i = 0; i < Math.max(0, ...accepted.map(({ length }) => length)); i++) {
      const given = Object.fromEntries(names.map((name, at) => [name, accepted[at]?.[i] ?? null]));
      expect(textOf(await answerOf(path, { ...base, ...given })), JSON.stringify(given)).toBe(expected);
    }
    for (const name of names) {
      for (const value of [{ other: true }, "another"]) {
        const { body } = await expectRefused(endpoint, name, value);
        expect(body.error.code).toBe("unsupported_value");
      }
    }
  });

  it("answers the same with any value of fields that no answer depends on", async () => {
    const expected = textOf(await answerOf(path, base));
    const all = named("unused");
    for (const value of [null, "a", { a: [1] }]) {
      const given = Object.fromEntries(all.map((name) => [name, value]));
      expect(textOf(await answerOf(path, { ...base, ...given }))).toBe(expected);
    }
  });

  it("refuses fields that it cannot honour by their names", async () => {
    const names = named("refused");
    for (const name of names) {
      for (const value of [true, {}]) {
        const { body } = await expectRefused(endpoint, name, value);
        expect(body.error.code).toBe("unsupported_parameter");
      }
    }
    await answerOf(path, { ...base, ...Object.fromEntries(names.map((name) => [name, null])) });
  });

  it("refuses fields that it does not know, with one that looks alike", async () => {
    for (const name of ["anything", "toString", "constructor", "temprature"]) {
      const { body } = await expectRefused(endpoint, name, 1);
      expect(body.error.code).toBe("unknown_parameter");
    }
    if ("temperature" in fields)
      expect((await expectRefused(endpoint, "temprature", 1)).body.error.message).toContain("try temperature");
    for (const body of [[], "text", 1, null, true]) {
      const answer = await server.post(path, JSON.stringify(body));
      expect(answer.status).toBe(400);
      expect(answer.body.error.message).toContain("must be a JSON object");
    }
  });
});

it("a model is found by its id, and by its path", async () => {
  const { data } = (await server.get("/v1/models")).body;
  for (const [i, name] of ["plain", "talk"].entries()) {
    for (const given of [name, server.place(name)])
      expect((await server.get(`/v1/models/${encodeURIComponent(given)}`)).body).toEqual(data[i]);
  }
});

it("an answer goes back into the next request as it came", async () => {
  const user = { role: "user", content: "Hi" };
  const [{ message }] = (await answerOf(chat.path, chat.base)).body.choices;
  await answerOf(chat.path, { ...chat.base, messages: [user, message, user] });
  const asked = { ...response.base, temperature: 0, include: ["message.output_text.logprobs"] };
  const { output } = (await answerOf(response.path, asked)).body;
  await answerOf(response.path, { ...asked, input: [user, ...output, user] });
});

it("a default with its keys in another order is the same default", async () => {
  await answerOf(response.path, { ...response.base, text: { verbosity: "medium", format: { type: "text" } } });
});

it("the description of the server has all fields of the tables", async () => {
  const { paths, openapi } = (await server.get("/openapi.json")).body;
  expect(openapi).toBe("3.1.0");
  for (const { path, fields } of endpoints) {
    const { schema } = paths[path].post.requestBody.content["application/json"];
    expect(Object.keys(schema.properties)).toEqual(Object.keys(fields));
    for (const one of Object.values(schema.properties)) expect(one).toHaveProperty("description");
  }
});
