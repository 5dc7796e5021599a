/**
 * Tests log-probabilities in the format that evaluation harnesses expect. Also tests that the same seed gives the same
 * answer.
 */
import { describe, expect, it } from "vitest";
import {
  type Body,
  dataOf,
  noEnd,
  plainContext,
  plainEnd,
  plainNoEnd,
  plainTokenizer,
  useServer,
} from "../../support/openai-server.ts";

const server = useServer();

interface Listed {
  readonly tokens: string[];
  readonly token_logprobs: (number | null)[];
  readonly top_logprobs: (Record<string, number> | null)[];
  readonly text_offset: number[];
}

interface Choice {
  readonly text: string;
  readonly index: number;
  readonly logprobs: Listed;
  readonly finish_reason: string;
}

const choicesOf = async (body: Body): Promise<readonly Choice[]> => {
  const answer = await server.post("/v1/completions", body);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body.choices;
};
const choiceOf = async (body: Body): Promise<Choice> => (await choicesOf(body))[0] as Choice;

const prompt = "the cat sat on a mat é";
const promptLength = plainTokenizer.encode(prompt).length;
/** A request as lm-eval sends it. */
const scored = { prompt, logprobs: 1, echo: true, seed: 1234, temperature: 0 };

/** Expects that both lists have the same number for a token. */
const expectSameFloats = ({ tokens, token_logprobs: own, top_logprobs: top }: Listed): void => {
  expect(top).toHaveLength(tokens.length);
  for (const [i, token] of tokens.entries()) {
    if (own[i] === null) expect(top[i]).toBeNull();
    else expect(top[i]?.[token]).toBe(own[i]);
  }
};

describe("echo with log-probabilities", () => {
  it("and no token has the prompt's alone", async () => {
    const answer = await server.post("/v1/completions", { ...scored, max_tokens: 0 });
    const [{ text, logprobs, finish_reason }] = answer.body.choices;
    expect([text, finish_reason]).toEqual([prompt, "length"]);
    expect(logprobs.tokens).toHaveLength(promptLength);
    expect(logprobs.token_logprobs.map((one: unknown) => typeof one)).toEqual([
      "object",
      ...Array(promptLength - 1).fill("number"),
    ]);
    expectSameFloats(logprobs);
    expect(answer.body.usage).toEqual({
      ...{ prompt_tokens: promptLength, completion_tokens: 0, total_tokens: promptLength },
    });
  });

  it("and one token has exactly one more, also where it is the end of text", async () => {
    const before = await choiceOf({ ...scored, max_tokens: 0 });
    const after = await choiceOf({ ...scored, max_tokens: 1, logit_bias: plainNoEnd });
    expect(after.logprobs.token_logprobs.slice(0, -1)).toEqual(before.logprobs.token_logprobs);
    expect(after.logprobs.tokens).toHaveLength(promptLength + 1);
    expectSameFloats(after.logprobs);
    const ended = await choiceOf({ ...scored, max_tokens: 1, logit_bias: { [plainEnd]: 100 } });
    expect(ended).toMatchObject({ text: prompt, finish_reason: "stop" });
    expect(ended.logprobs.tokens).toHaveLength(promptLength + 1);
    expect(ended.logprobs.tokens.at(-1)).toBe("<|endoftext|>");
    expectSameFloats(ended.logprobs);
  });

  it("works for a prompt as long as the context, for several and for ids", async () => {
    const full = Array.from({ length: plainContext }, (_, i) => i);
    for (const max_tokens of [0, 1]) {
      const { logprobs } = await choiceOf({ ...scored, prompt: full, max_tokens });
      expect(logprobs.tokens).toHaveLength(plainContext + max_tokens);
    }
    const prompts = ["the cat", "the mat and the hat", "e"];
    const together = await choicesOf({ ...scored, prompt: prompts, max_tokens: 1 });
    for (const [i, one] of prompts.entries()) {
      const alone = await choiceOf({ ...scored, prompt: one, max_tokens: 1 });
      expect(together[i]).toEqual({ ...alone, index: i });
    }
    const ids = prompts.map((one) => Array.from(plainTokenizer.encode(one)));
    expect(await choicesOf({ ...scored, prompt: ids, max_tokens: 1 })).toEqual(together);
  });

  it("has offsets in code points, and names parts of characters by their bytes", async () => {
    const { logprobs } = await choiceOf({ ...scored, max_tokens: 0 });
    const pieces = logprobs.text_offset.map((at, i) => [...prompt].slice(at, logprobs.text_offset[i + 1]).join(""));
    expect(pieces.join("")).toBe(prompt);
    expect(pieces.slice(0, -2)).toEqual(logprobs.tokens.slice(0, -2));
    expect(logprobs.tokens.slice(-2)).toEqual(["bytes:\\xc3", "bytes:\\xa9"]);
  });

  it("has in the stream what the whole answer has", async () => {
    const asked = { ...scored, max_tokens: 8, logprobs: 2, logit_bias: plainNoEnd };
    const whole = await choiceOf(asked);
    const chunks = dataOf(await (await server.send("/v1/completions", { ...asked, stream: true })).text())
      .slice(0, -1)
      .map((event) => JSON.parse(event).choices[0] as Choice);
    expect(chunks.map(({ text }) => text).join("")).toBe(whole.text);
    for (const name of ["tokens", "token_logprobs", "top_logprobs", "text_offset"] as const)
      expect(chunks.flatMap(({ logprobs }) => logprobs[name] as unknown[])).toEqual(whole.logprobs[name]);
    expect(chunks.map(({ finish_reason }) => finish_reason).filter((one) => one !== null)).toEqual(["length"]);
  });
});

it("a stream has the offsets of the whole answer, also where a character spans tokens", async () => {
  const body = {
    prompt: "é日本語😀",
    max_tokens: 30,
    seed: 4,
    temperature: 2,
    logprobs: 1,
    echo: true,
    logit_bias: plainNoEnd,
  };
  const whole = await choiceOf(body);
  const text = await (await server.send("/v1/completions", { ...body, stream: true })).text();
  const offsets = dataOf(text)
    .slice(0, -1)
    .flatMap((data) => (JSON.parse(data).choices[0]?.logprobs as Listed | null)?.text_offset ?? []);
  expect(offsets).toEqual(whole.logprobs.text_offset);
});

it("a request of many texts holds nobody up", async () => {
  const many = { prompt: Array(60).fill("the cat"), n: 32, max_tokens: 2, seed: 1, logit_bias: plainNoEnd };
  const asked = server.post("/v1/completions", many);
  await server.untilRunning();
  expect((await server.get("/health")).status).toBe(200);
  const answer = await asked;
  expect(answer.body.choices).toHaveLength(60 * 32);
  // The texts of each prompt have the same seeds.
  const [first, again] = [0, 32].map((from) =>
    answer.body.choices.slice(from, from + 32).map(({ text }: Choice) => text),
  );
  expect(again).toEqual(first);
});

it("log-probabilities of written tokens are those that the same tokens have as a prompt", async () => {
  // This model's tokens are characters, so encoding a generated text gives the generated tokens again.
  const model = "talk";
  const asked = { model, prompt: "who?", seed: 3, max_tokens: 10, logprobs: 4, logit_bias: noEnd };
  const { text, logprobs } = await choiceOf(asked);
  expect(logprobs.tokens.join("")).toBe(text);
  expect(logprobs.tokens).toHaveLength(10);
  expectSameFloats(logprobs);
  for (const top of logprobs.top_logprobs) expect(Object.keys(top ?? {}).length).toBeGreaterThanOrEqual(4);
  const { logprobs: read } = await choiceOf({ ...scored, model, prompt: `who?${text}`, max_tokens: 0 });
  expect(read.token_logprobs.slice(4)).toEqual(logprobs.token_logprobs);
});

it("best_of with echo ranks by the written tokens alone, and tells the prompt before each", async () => {
  const asked = { prompt, seed: 5, max_tokens: 4, logprobs: 1, echo: true, logit_bias: plainNoEnd };
  const mean = ({ logprobs }: Choice): number =>
    logprobs.token_logprobs.slice(promptLength).reduce<number>((sum, one) => sum + (one ?? 0) / 4, 0);
  const all = await choicesOf({ ...asked, n: 5 });
  const best = await choicesOf({ ...asked, n: 2, best_of: 5 });
  expect(best.map(mean)).toEqual(
    all
      .map(mean)
      .toSorted((a, b) => b - a)
      .slice(0, 2),
  );
  expect(best.map(({ index }) => index)).toEqual([0, 1]);
  for (const { text } of best) expect(text.startsWith(prompt)).toBe(true);
});

it("a stop text over two tokens ends a stream before it, and nothing of it is told", async () => {
  const asked = {
    model: "talk",
    messages: [{ role: "user", content: "Hi" }],
    seed: 4,
    max_tokens: 30,
    logit_bias: noEnd,
  };
  const { body } = await server.post("/v1/chat/completions", asked);
  const text = body.choices[0].message.content as string;
  const stop = text.slice(11, 14);
  const events = dataOf(await (await server.send("/v1/chat/completions", { ...asked, stream: true, stop })).text());
  expect(events.at(-1)).toBe("[DONE]");
  const deltas = events.slice(0, -1).map((event) => JSON.parse(event).choices[0]);
  expect(deltas.map(({ delta }) => delta.content ?? "").join("")).toBe(text.slice(0, text.indexOf(stop)));
  expect(deltas.at(-1)).toMatchObject({ delta: {}, finish_reason: "stop" });
});

describe("a request", () => {
  const messages = [{ role: "user", content: "why" }];
  const requests: readonly (readonly [string, Body])[] = [
    ["/v1/completions", { prompt, seed: 11, n: 2, max_tokens: 10, logprobs: 2, echo: true }],
    ["/v1/completions", { prompt: ["the cat", "a"], seed: 12, max_tokens: 12, temperature: 0.7, top_p: 0.9 }],
    ["/v1/chat/completions", { model: "talk", messages, seed: 13, max_tokens: 10, logprobs: true, top_logprobs: 2 }],
    ["/v1/responses", { model: "talk", input: "Is it so", seed: 14, max_output_tokens: 10 }],
  ];
  /** The answer without ids and times. */
  const lasting = (body: Body): string =>
    JSON.stringify(body, (key, value: unknown) => (["id", "created", "created_at"].includes(key) ? undefined : value));

  it("has the same body alone and beside 15 others", async () => {
    for (const [path, body] of [requests[0], requests[2]] as typeof requests) {
      const alone = lasting((await server.post(path, body)).body);
      const others = Array.from({ length: 15 }, async (_, i) => {
        const [where, other] = requests[i % requests.length] as (typeof requests)[number];
        await (await server.send(where, { ...other, seed: 100 + i, stream: i % 2 === 0 })).text();
      });
      expect(lasting((await server.post(path, body)).body)).toBe(alone);
      await Promise.all(others);
    }
  });
});
