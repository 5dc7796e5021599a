import { expect, it } from "vitest";
import type { LastRequest } from "#foretoken/serve/openai/recent.js";
import { createRecent, endingOf } from "#foretoken/serve/openai/recent.js";
import { plainNoEnd, until, useServer } from "../../support/openai-server.ts";

const server = useServer();

it("keeps the last requests by how they ended, without their prompts and texts", async () => {
  const secret = "the cat sat on the hat";
  const asked = { model: "plain", prompt: secret, max_tokens: 8, logit_bias: plainNoEnd };
  const { body } = await server.post("/v1/completions", asked);
  await server.post("/v1/completions", { ...asked, model: secret });
  await server.post("/v1/completions", { ...asked, suffix: secret });
  const controller = new AbortController();
  const left = await server.send(
    "/v1/completions",
    { ...asked, max_tokens: 56, stream: true, n: 64 },
    { signal: controller.signal },
  );
  await left.body?.getReader().read();
  expect((await server.state()).running).toBe(1);
  controller.abort();
  await until(async () => (await server.state()).ended.left === 1, "the request goes on");
  const { ended, last, running, request, firstToken } = await server.state();
  expect(running).toBe(0);
  expect(ended).toEqual({ answered: 1, refused: 2, failed: 0, left: 1 });
  expect(last.map(({ model, status, ending, code }) => [model, status, ending, code])).toEqual([
    ["plain", expect.any(Number), "left", null],
    [null, 400, "refused", "unsupported_parameter"],
    [null, 404, "refused", "model_not_found"],
    ["plain", 200, "answered", null],
  ]);
  const answered = last.at(-1) as LastRequest;
  expect(answered).toMatchObject({
    ...{ path: "/v1/completions", promptTokens: body.usage.prompt_tokens, newTokens: 8 },
    firstTokenMs: expect.any(Number),
  });
  // Only the answered request counts for the times.
  expect(request).toEqual({ count: 1, median: answered.milliseconds, longest: answered.milliseconds, p95: null });
  expect(firstToken?.median).toBe(answered.firstTokenMs);
  expect(JSON.stringify(last)).not.toContain("cat");
  expect(JSON.stringify(last)).not.toContain(body.choices[0].text);
});

it("keeps at most 50 requests, the one that began last first", () => {
  const recent = createRecent();
  const request: LastRequest = {
    ...{ id: "", time: "", path: "other", model: null, promptTokens: 0, newTokens: 0, firstTokenMs: null },
    ...{ milliseconds: 1, status: 500, ending: "failed", code: null },
  };
  const at = (second: number): string => new Date(1000 * second).toISOString();
  // The first request ends last.
  for (let i = 1; i <= 60; i++) recent.note({ ...request, id: String(i % 60), time: at(i % 60) });
  const { last, ended, request: times } = recent.work();
  expect(last.map(({ id }) => Number(id))).toEqual([...Array.from({ length: 49 }, (_, i) => 59 - i), 0]);
  expect(ended.failed).toBe(60);
  expect(times).toBeNull();
});

it("tells refused, failed and cancelled requests apart by their status", () => {
  expect([200, 400, 429, 500, 503, 499].map((status) => endingOf(status, false))).toEqual([
    ...["answered", "refused", "refused", "failed", "failed", "left"],
  ]);
  expect(endingOf(200, true)).toBe("left");
});
