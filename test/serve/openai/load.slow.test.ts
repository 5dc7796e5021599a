/** A server under load. The answers do not change, no request is lost, and memory is freed. */
import { rename } from "node:fs/promises";
import { afterAll, expect, it } from "vitest";
import {
  type Body,
  noEnd,
  openServer,
  plainNoEnd,
  type TestServer,
  useModels,
  writePlainModel,
} from "../../support/openai-server.ts";

const { path, both } = useModels();
const opened: TestServer[] = [];
afterAll(() => Promise.all(opened.map((one) => one.close(0))));

const serving = async (places: readonly string[]): Promise<TestServer> => {
  const server = await openServer(places);
  opened.push(server);
  return server;
};

/** Request number `i`. The requests have many types, lengths and settings. */
const requestOf = (i: number): readonly [string, Body] => {
  const many = 4 + (i % 13);
  const sampling = { seed: i, temperature: [0, 0.7, 1][i % 3], top_p: i % 5 === 0 ? 0.9 : 1 };
  const prompt = "the cat sat on the mat, and the hat. ".slice(i % 7, 12 + (i % 20));
  switch (i % 4) {
    case 0:
      return ["/v1/completions", { ...sampling, prompt, max_tokens: many, logprobs: i % 3, logit_bias: plainNoEnd }];
    case 1:
      return ["/v1/completions", { ...sampling, prompt, max_tokens: i % 2, echo: true, logprobs: 1 }];
    case 2: {
      const messages = [{ role: "user", content: "why".slice(i % 3) }];
      return ["/v1/chat/completions", { ...sampling, model: "talk", messages, max_tokens: many, n: 1 + (i % 3) }];
    }
    default:
      return ["/v1/responses", { ...sampling, model: "talk", input: "Is it so", max_output_tokens: many }];
  }
};

/** The response without ids and times. */
const lasting = (body: Body): string =>
  JSON.stringify(body, (key, value: unknown) => (["id", "created", "created_at"].includes(key) ? undefined : value));

/** Calls `work` with 0, 1, … up to `count()` − 1. At most `most` calls are active at a time. */
const manyAtATime = async (count: () => number, most: number, work: (i: number) => Promise<void>): Promise<void> => {
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < count()) await work(next++);
  };
  await Promise.all(Array.from({ length: most }, one));
};

it("300 requests have the same bodies alone and beside 32 others that come and leave", async () => {
  const server = await serving(both());
  const bodyOf = async (i: number): Promise<string> => {
    const [where, body] = requestOf(i);
    const answer = await server.post(where, body);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    return lasting(answer.body);
  };
  const alone: string[] = [];
  for (let i = 0; i < 300; i++) alone.push(await bodyOf(i));
  let ended = false;
  let left = 0;
  const noise = manyAtATime(
    () => (ended ? 0 : Number.POSITIVE_INFINITY),
    32,
    async (i) => {
      const talks = i % 2 === 0;
      const messages = [{ role: "user", content: "Hi" }];
      const body = talks
        ? { model: "talk", messages, max_tokens: 400, logit_bias: noEnd }
        : { prompt: "the cat", max_tokens: 400, logit_bias: plainNoEnd };
      const controller = new AbortController();
      const where = talks ? "/v1/chat/completions" : "/v1/completions";
      try {
        const response = await server.send(where, { ...body, stream: true }, { signal: controller.signal });
        const reader = response.body?.getReader();
        for (let pieces = 0; pieces < i % 9; pieces++) if ((await reader?.read())?.done === true) return;
        controller.abort();
        left++;
      } catch (error) {
        expect(error).toMatchObject({ name: "AbortError" });
      }
    },
  );
  const together: string[] = Array.from({ length: 300 }, () => "");
  try {
    await manyAtATime(
      () => 300,
      8,
      async (i) => {
        together[i] = await bodyOf(i);
      },
    );
  } finally {
    ended = true;
  }
  expect(left).toBeGreaterThan(32);
  for (const [i, body] of together.entries()) expect(body, `request ${i}`).toBe(alone[i]);
  await noise;
  await server.untilIdle();
  expect(await server.metric("foretoken_pages_in_use")).toBe(0);
});

it("a model is replaced under requests, and none of them fails", async () => {
  const place = path("changing");
  await writePlainModel(place, 1);
  const server = await serving([place]);
  const fingerprints = new Set<string>();
  for (let version = 2; version < 5; version++) {
    await writePlainModel(`${place}-${version}`, version);
    await rename(place, `${place}-before-${version}`);
    await rename(`${place}-${version}`, place);
    while (fingerprints.size < version) {
      const asked = { prompt: "the cat", max_tokens: 30, seed: 1, logit_bias: plainNoEnd };
      const answers = await Promise.all([1, 2, 3, 4].map(() => server.post("/v1/completions", asked)));
      const texts = new Map<string, string>();
      for (const { status, body } of answers) {
        expect(status).toBe(200);
        fingerprints.add(body.system_fingerprint);
        // The whole text is from one version of the model.
        const text = texts.get(body.system_fingerprint) ?? body.choices[0].text;
        expect(body.choices[0].text).toBe(text);
        texts.set(body.system_fingerprint, text);
      }
    }
  }
  expect(server.told.filter((line) => line.endsWith("was replaced; the new files are loaded"))).toHaveLength(3);
});
