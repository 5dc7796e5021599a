/** Uses the `openai` package, without changes, with a server. */
import OpenAI, { APIError, AuthenticationError, BadRequestError, NotFoundError, RateLimitError } from "openai";
import { describe, expect, it } from "vitest";
import { noEnd, plainNoEnd, useServer } from "../../support/openai-server.ts";

/** The tests request the metrics with the first key. The clients use the second key. */
const server = useServer({ keys: ["metrics", "right"], perKey: 1 });
const clientAt = (url: string, options: object = {}): OpenAI =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: "right", maxRetries: 0, ...options });
const client = (): OpenAI => clientAt(server.url());

const messages = [{ role: "user", content: "Hi" }] as const;
const talk = { model: "talk", messages: [...messages] };
const plain = { model: "plain", prompt: "the cat" };

/** The error of a call that must fail. */
const failureOf = async (call: Promise<unknown>): Promise<APIError> => {
  const found = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (found instanceof APIError) return found;
  throw new Error("the call has not failed", { cause: found });
};

describe("models", () => {
  it("are listed and found", async () => {
    const { data } = await client().models.list();
    expect(data.map(({ id, object }) => [id, object])).toEqual([
      ["plain", "model"],
      ["talk", "model"],
    ]);
    expect(await client().models.retrieve("talk")).toMatchObject({ id: "talk" });
  });
});

describe("completions", () => {
  it("of one prompt and of several have choices in order, and usage", async () => {
    const one = await client().completions.create({ ...plain, max_tokens: 5, seed: 1, logit_bias: plainNoEnd });
    expect(one).toMatchObject({ object: "text_completion", model: "plain" });
    expect(one.choices).toMatchObject([{ index: 0, finish_reason: "length", logprobs: null }]);
    expect(one.usage).toEqual({ prompt_tokens: 2, completion_tokens: 5, total_tokens: 7 });
    const several = await client().completions.create({
      model: "plain",
      prompt: ["the cat", "the mat"],
      n: 2,
      seed: 1,
    });
    expect(several.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
  });

  it("of the same seed are the same, and of another one are not", async () => {
    const write = async (seed: number): Promise<string> =>
      (await client().completions.create({ ...plain, seed, max_tokens: 30, logit_bias: plainNoEnd })).choices[0]
        ?.text ?? "";
    const first = await write(5);
    expect(await write(5)).toBe(first);
    expect(await write(6)).not.toBe(first);
  });

  it("come as a stream with the same texts, log-probabilities and usage", async () => {
    const asked = { ...plain, n: 2, seed: 3, max_tokens: 12, logprobs: 2, logit_bias: plainNoEnd };
    const whole = await client().completions.create(asked);
    const texts = ["", ""];
    const logprobs: number[][] = [[], []];
    let usage: unknown;
    const options = { stream: true, stream_options: { include_usage: true } } as const;
    for await (const chunk of await client().completions.create({ ...asked, ...options })) {
      usage = chunk.usage ?? usage;
      for (const { index, text, logprobs: some } of chunk.choices) {
        texts[index] += text;
        logprobs[index]?.push(...((some?.token_logprobs ?? []) as number[]));
      }
    }
    expect(texts).toEqual(whole.choices.map(({ text }) => text));
    expect(logprobs).toEqual(whole.choices.map((choice) => choice.logprobs?.token_logprobs));
    expect(usage).toEqual(whole.usage);
  });
});

describe("chat completions", () => {
  it("answer a conversation, and several times", async () => {
    const asked = { ...talk, n: 3, seed: 2, max_completion_tokens: 8, logit_bias: noEnd };
    const { choices, usage } = await client().chat.completions.create(asked);
    expect(choices.map(({ index, finish_reason, message: { role } }) => [index, finish_reason, role])).toEqual(
      [0, 1, 2].map((i) => [i, "length", "assistant"]),
    );
    expect(new Set(choices.map(({ message }) => message.content)).size).toBe(3);
    expect(usage).toMatchObject({ completion_tokens: 24 });
  });

  it("come as a stream, which the client's helper puts together", async () => {
    const asked = { ...talk, seed: 4, max_tokens: 20, logit_bias: noEnd };
    const whole = await client().chat.completions.create(asked);
    const stream = client().chat.completions.stream({ ...asked, stream_options: { include_usage: true } });
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]?.message.content).toBe(whole.choices[0]?.message.content);
    expect(final.choices[0]?.finish_reason).toBe("length");
    expect(final.usage).toEqual(whole.usage);
  });

  it("have log-probabilities of the tokens that the text consists of", async () => {
    const asked = { ...talk, seed: 1, max_tokens: 6, logprobs: true, top_logprobs: 3, logit_bias: noEnd };
    const [choice] = (await client().chat.completions.create(asked)).choices;
    const content = choice?.logprobs?.content ?? [];
    expect(content.map(({ token }) => token).join("")).toBe(choice?.message.content);
    expect(content).toHaveLength(6);
    for (const { top_logprobs: top, logprob } of content) {
      expect(top).toHaveLength(3);
      expect(top.map((one) => one.logprob)).toEqual(top.map((one) => one.logprob).toSorted((a, b) => b - a));
      expect(logprob).toBeLessThan(0);
    }
  });

  it("end before a stop text", async () => {
    const asked = { ...talk, seed: 4, max_tokens: 30, logit_bias: noEnd };
    const text = (await client().chat.completions.create(asked)).choices[0]?.message.content ?? "";
    const stop = text.slice(10, 12);
    const [stopped] = (await client().chat.completions.create({ ...asked, stop })).choices;
    expect(stopped?.message.content).toBe(text.slice(0, text.indexOf(stop)));
    expect(stopped?.finish_reason).toBe("stop");
  });

  it("that are aborted in the middle free their texts", async () => {
    const stream = await client().chat.completions.create({
      ...{ ...talk, n: 2, stream: true, max_tokens: 1_000_000, logit_bias: noEnd },
    });
    let chunks = 0;
    for await (const _ of stream) if (++chunks === 5) stream.controller.abort();
    expect(chunks).toBeGreaterThanOrEqual(5);
    await server.untilIdle();
    const controller = new AbortController();
    const call = client().chat.completions.create(
      { ...talk, max_tokens: 1_000_000, logit_bias: noEnd },
      { signal: controller.signal },
    );
    await server.untilRunning();
    controller.abort();
    await expect(call).rejects.toThrow("aborted");
    await server.untilIdle();
  });
});

describe("responses", () => {
  it("come whole and as a stream", async () => {
    const asked = { model: "talk", input: "Hi", max_output_tokens: 60, temperature: 0 };
    const whole = await client().responses.create(asked);
    expect(whole.output_text).not.toBe("");
    const stream = client().responses.stream(asked);
    let text = "";
    stream.on("response.output_text.delta", ({ delta }) => {
      text += delta;
    });
    const final = await stream.finalResponse();
    expect(text).toBe(whole.output_text);
    expect(final.output_text).toBe(whole.output_text);
    expect(final.status).toBe(whole.status);
    expect(final.usage).toEqual(whole.usage);
  });

  it("take instructions and a conversation, and tell log-probabilities", async () => {
    const { output } = await client().responses.create({
      ...{ model: "talk", instructions: "so be it", max_output_tokens: 4, top_logprobs: 2, temperature: 0 },
      include: ["message.output_text.logprobs"],
      input: [
        { role: "user", content: [{ type: "input_text", text: "Hi" }] },
        { role: "assistant", content: "yes" },
        { role: "user", content: "why" },
      ],
    });
    const [item] = output;
    const [part] = item?.type === "message" ? item.content : [];
    const logprobs = part?.type === "output_text" ? (part.logprobs ?? []) : [];
    expect(logprobs.length).toBeGreaterThan(0);
    for (const one of logprobs) expect(one.top_logprobs).toHaveLength(2);
  });
});

describe("errors", () => {
  it("have the client's classes, and type, code and param", async () => {
    const unknown = await failureOf(client().chat.completions.create({ ...talk, model: "other" }));
    expect(unknown).toBeInstanceOf(NotFoundError);
    expect(unknown).toMatchObject({
      status: 404,
      type: "invalid_request_error",
      code: "model_not_found",
      param: "model",
    });
    const refused = await failureOf(
      client().chat.completions.create({ ...talk, response_format: { type: "json_object" } }),
    );
    expect(refused).toBeInstanceOf(BadRequestError);
    expect(refused).toMatchObject({ code: "unsupported_value", param: "response_format" });
    const wrong = await failureOf(client().completions.create({ ...plain, temperature: 3 }));
    expect(wrong).toMatchObject({ status: 400, param: "temperature" });
    const stranger = await failureOf(clientAt(server.url(), { apiKey: "wrong" }).models.list());
    expect(stranger).toBeInstanceOf(AuthenticationError);
    expect(stranger).toMatchObject({ status: 401, type: "authentication_error", code: "invalid_api_key" });
    const noTemplate = await failureOf(client().chat.completions.create({ ...talk, model: "plain" }));
    expect(noTemplate.message).toContain("no chat template");
    expect(noTemplate.requestID).toMatch(/^[0-9a-f]{24}$/u);
  });

  it("429 is tried again after the time that the server says", async () => {
    const endless = { ...talk, stream: true, max_tokens: 1_000_000, logit_bias: noEnd } as const;
    const first = await client().chat.completions.create(endless);
    const refused = await failureOf(client().chat.completions.create({ ...talk, max_tokens: 2 }));
    expect(refused).toBeInstanceOf(RateLimitError);
    expect(refused).toMatchObject({ type: "rate_limit_error", code: "rate_limit_exceeded" });
    expect(refused.headers?.get("retry-after")).toBe("1");
    const statuses: number[] = [];
    const watched = async (...given: Parameters<typeof fetch>): Promise<Response> => {
      const response = await fetch(...given);
      statuses.push(response.status);
      if (response.status === 429) first.controller.abort();
      return response;
    };
    const patient = clientAt(server.url(), { maxRetries: 3, fetch: watched });
    expect((await patient.chat.completions.create({ ...talk, max_tokens: 2 })).choices).toHaveLength(1);
    expect(statuses).toEqual([429, 200]);
  });

  it("of a stream end it", async () => {
    const stream = await client().chat.completions.create({
      ...{ ...talk, stream: true, max_tokens: 1_000_000, logit_bias: noEnd },
    });
    const read = async (): Promise<void> => {
      for await (const _ of stream);
    };
    const failure = failureOf(read());
    await server.close(0);
    expect((await failure).message).toBe("the server is shutting down; try again later");
  });
});
