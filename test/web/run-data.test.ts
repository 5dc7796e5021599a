import { expect, it } from "vitest";
import type { StartEvent } from "#foretoken/runs/events.js";
import type { RunSeries } from "#foretoken/serve/studio/protocol.js";
import { createRunData } from "../../web/run/run-data.ts";

/** Four steps of 100 tokens each, at 100, 50 and 200 tokens per second. The third step was skipped. */
const series: RunSeries = {
  offset: 0,
  tokensPerStep: 100,
  steps: {
    step: [1, 2, 4],
    loss: [3, 2, 1],
    learningRate: [0.1, 0.1, 0.1],
    gradNorm: [1, 1, 1],
    tokensPerSecond: [100, 50, 200],
  },
  evals: {
    step: [0, 2, 3],
    valLoss: [4, 3, 2],
    trainLoss: [null, 2, 2],
    natsPerCharacter: [4, 3, 2],
    bitsPerByte: [4, 3, 2],
  },
  samples: [],
  leftOut: [3],
  valTokens: 10,
  chat: false,
  valIsTraining: false,
  mostSteps: 200_000,
  thinned: null,
};

it("places evaluations on the axis of time where their steps end, those that come later too", () => {
  const data = createRunData(series);
  const step = { v: 1, type: "step", step: 5, loss: 1, learningRate: 0.1, gradNorm: 1, tokensPerSecond: 100 } as const;
  data.take(step);
  const measured = {
    valLoss: 2,
    trainLoss: 1,
    natsPerCharacter: 1,
    bitsPerByte: 1,
    perplexity: 1,
    tokens: 9,
    best: true,
  };
  data.take({ ...measured, v: 1, type: "eval", step: 5, reason: "interval" });
  expect([...data.steps.column("seconds").subarray(0, data.steps.length)]).toEqual([1, 3, 3.5, 4.5]);
  expect([...data.evals.column("step").subarray(0, data.evals.length)]).toEqual([0, 2, 3, 5]);
  expect([...data.evals.column("seconds").subarray(0, data.evals.length)]).toEqual([0, 3, 3, 4.5]);
});

it("takes what the series lacks from the first event of a run", () => {
  const data = createRunData({ ...series, valTokens: null });
  const start = { type: "start", valTokens: 7, documents: { chat: true } } as unknown as StartEvent;
  data.take(start);
  expect([data.valTokens, data.chat]).toEqual([7, true]);
});

it("takes the time of steps that are missing from the series", () => {
  const data = createRunData({ ...series, thinned: { seconds: [10, 20, 30] } });
  data.take({ v: 1, type: "step", step: 5, loss: 1, learningRate: 0.1, gradNorm: 1, tokensPerSecond: 100 });
  expect([...data.steps.column("seconds").subarray(0, data.steps.length)]).toEqual([10, 20, 30, 31]);
  expect(data.isThinned).toBe(true);
});
