import { describe, expect, it, test } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { estimateSeconds } from "#foretoken/runs/duration.js";
import type { TrainEvent } from "#foretoken/runs/events.js";
import { evaluationsLeft, forwardSeconds } from "#foretoken/runs/time-left.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { train } from "#foretoken/train/train.node.js";
import { anyBackend, collect, ofType, smallRun, useFolder, wordsText } from "../support/runs.ts";

const { newPath, writeText } = useFolder();

/** 12 steps of 3 × 2 × 16 = 96 tokens each, with an evaluation every 5 steps. */
const config = resolveConfig("book", [smallRun]);

describe("how long a run takes", () => {
  test.each([
    [0, 12, 3],
    [4, 12, 3],
    [5, 12, 2],
    [10, 12, 1],
    [0, 10, 2],
    [0, 4, 1],
    [9, 10, 1],
  ])("after step %i, up to %i, there are %i evaluations", (step, lastStep, evaluations) => {
    expect(evaluationsLeft(config, step, lastStep)).toBe(evaluations);
  });

  test("a forward pass is a third of a step over as many tokens", () => {
    expect(forwardSeconds(config, 0.3, 96)).toBeCloseTo(0.1, 12);
    expect(forwardSeconds(config, 0.3, 960)).toBeCloseTo(1, 12);
  });

  test("it is the steps, the evaluations, and the samples past the context", () => {
    const remaining = { step: 2, lastStep: 12, valTokens: 96, promptTokens: 3, finalSampleTokens: 13 };
    // Ten steps and three evaluations. Samples of 3 and 13 tokens fit into the context of 16 tokens.
    expect(estimateSeconds(config, 0.3, remaining)).toBeCloseTo(3 + 3 * 0.1, 12);
    // Each of the six tokens beyond the context needs a pass over 16 tokens. A pass costs a sixth of a step, which has
    // 96 tokens.
    const longer = { ...remaining, finalSampleTokens: 19 };
    expect(estimateSeconds(config, 0.3, longer)).toBeCloseTo(3 + 4 * 0.1, 12);
    const sampling = resolveConfig("book", [smallRun, { train: { sampleTokens: 19 } }]);
    // Before the last evaluation, there are two evaluations with a sample.
    expect(estimateSeconds(sampling, 0.3, remaining)).toBeCloseTo(3 + 5 * 0.1, 12);
    // With an average, an evaluation measures two sets of weights.
    const averaging = resolveConfig("book", [smallRun, { train: { average: { kind: "ema" } } }]);
    expect(estimateSeconds(averaging, 0.3, remaining)).toBeCloseTo(3 + 6 * 0.1, 12);
    // Four machines share steps and evaluations; one of them generates the sample at its own speed.
    expect(estimateSeconds(config, 0.3, { ...longer, machines: 4 })).toBeCloseTo(3 + 3 * 0.1 + 4 * 0.1, 12);
  });
});

it("is told once, after the first steps, and not kept", async () => {
  const data = await writeText(wordsText("duration", 300));
  const out = newPath();
  const options = { preset: "book", config: smallRun, data, ...anyBackend, finalSampleTokens: 0 } as const;
  const events = await collect(train({ ...options, out, stopAt: 11 }));
  const [estimate, ...more] = ofType(events, "estimate");
  expect(more).toEqual([]);
  expect(estimate).toMatchObject({ step: 6, timedSteps: 5 });
  const times = ofType(events, "step")
    .slice(1, 6)
    .map(({ tokensPerSecond }) => 96 / tokensPerSecond);
  const median = times.sort((a, b) => a - b)[2] ?? 0;
  expect(estimate?.stepSeconds).toBeCloseTo(median, 12);
  const valTokens = ofType(events, "start")[0]?.valTokens ?? 0;
  const expected = (5 + (2 * valTokens) / 96 / 3) * median;
  expect(estimate?.secondsLeft).toBeCloseTo(expected, 9);
  const resumed = await collect(train({ resume: out, ...anyBackend }));
  expect(ofType(resumed, "estimate")).toEqual([]);
});

it("is told from steps that were left out, too", async () => {
  const data = await writeText(wordsText("left out", 300));
  const reference = await openReference();
  let broken = true;
  const backend = {
    ...reference,
    read: async (...args: Parameters<typeof reference.read>) => {
      const values = await reference.read(...args);
      return broken && values.length === 1 ? values.fill(Number.NaN) : values;
    },
  };
  const config = { ...smallRun, train: { ...smallRun.train, evalInterval: 12, onNonfinite: "skip" } } as const;
  const events: TrainEvent[] = [];
  for await (const event of train({ preset: "book", config, data, backend, out: null, finalSampleTokens: 0 })) {
    events.push(event);
    if (event.type === "nonfinite" && event.step === 6) broken = false;
  }
  await reference.close();
  expect(ofType(events, "nonfinite")).toHaveLength(6);
  const [estimate] = ofType(events, "estimate");
  expect(estimate).toMatchObject({ step: 6, timedSteps: 5 });
  expect(estimate?.stepSeconds).toBeGreaterThan(0);
  expect(estimate?.secondsLeft).toBeGreaterThan(0);
});
