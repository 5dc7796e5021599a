import { expect, test, vi } from "vitest";
import { openServer, plainNoEnd, useModels } from "../../support/openai-server.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const { path } = useModels();

test("a server that guesses tokens has the answers of one that does not, and counts its guesses", async () => {
  const servers = [
    await openServer([path("plain")]),
    await openServer([path("plain")], { speculate: "ngram" }),
  ] as const;
  const prompt = "the cat sat on the mat, and the cat sat";
  const requests = [0, 0.8].map((temperature) => ({
    ...{ prompt, temperature, max_tokens: 30, seed: 4, logprobs: 2, logit_bias: plainNoEnd },
  }));
  const answers = servers.map((server) => Promise.all(requests.map((body) => server.post("/v1/completions", body))));
  const [plain = [], guessing = []] = await Promise.all(answers);
  const choicesOf = (all: typeof plain) => all.map(({ body }) => body.choices);
  expect(choicesOf(guessing)).toEqual(choicesOf(plain));
  expect(choicesOf(plain)[0]).toHaveLength(1);
  expect(await servers[0].metric("foretoken_guesses_total")).toBe(0);
  const guessed = await servers[1].metric("foretoken_guesses_total");
  expect(guessed).toBeGreaterThan(0);
  expect(await servers[1].metric("foretoken_guesses_accepted_total")).toBeLessThanOrEqual(guessed);
  for (const server of servers) await server.close(0);
});
