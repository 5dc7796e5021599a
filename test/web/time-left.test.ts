import { expect, it } from "vitest";
import type { TrainEvent } from "#foretoken/runs/events.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { createTable } from "../../web/chart/table.ts";
import type { StepColumn } from "../../web/run/run-data.ts";
import { createEvalClock, recentRate, secondsLeft } from "../../web/run/time-left.ts";

const config = resolveConfig("book", [
  { train: { steps: 100, evalInterval: 20, batchSize: 2, gradAccumSteps: 1 }, model: { contextLength: 16 } },
]);
const step = (at: number) =>
  ({ v: 1, type: "step", step: at, loss: 1, learningRate: 0.1, gradNorm: 1, tokensPerSecond: 64 }) as const;
const measured: TrainEvent = {
  v: 1,
  type: "eval",
  step: 40,
  valLoss: 2,
  trainLoss: 1,
  natsPerCharacter: 1,
  bitsPerByte: 1,
  perplexity: 1,
  tokens: 96,
  reason: "interval",
  best: true,
};

const noSteps = () =>
  createTable<StepColumn>(["step", "tokens", "seconds", "loss", "learningRate", "gradNorm", "tokensPerSecond"]);

/** 40 steps of half a second each. One step was slow. */
const steps = noSteps();
for (let at = 1; at <= 40; at++)
  steps.push({ ...step(at), tokens: 32 * at, seconds: at / 2, tokensPerSecond: at === 9 ? 1 : 64 });
const data = { steps, tokensPerStep: 32, valTokens: 96 };

it("counts the evaluations, before the first by their share of a step's arithmetic", () => {
  // 60 steps and three evaluations. Each evaluation is a forward pass over three times the tokens of a step.
  expect(secondsLeft(config, data, undefined)).toBeCloseTo(60 * 0.5 + 3 * 0.5, 9);
  expect(secondsLeft(config, { ...data, valTokens: null }, undefined)).toBeCloseTo(30, 9);
});

it("takes the usual speed of the last steps, even if the last step of all was slow", () => {
  const all = noSteps();
  for (let at = 1; at <= 200; at++)
    all.push({ ...step(at), tokens: 32 * at, seconds: at, tokensPerSecond: at < 140 ? 64 : at === 200 ? 1 : 128 });
  expect(recentRate({ steps: all })).toBe(128);
  expect(recentRate({ steps: noSteps() })).toBeUndefined();
});

it("takes the time of an evaluation from the events around it, however they are bundled", () => {
  const clock = createEvalClock();
  // The events begin with an evaluation. The beginning of this evaluation was not observed.
  clock.take(measured, 10);
  clock.take(step(21), 11);
  expect(clock.seconds()).toBeUndefined();
  for (const after of [11, 17]) {
    clock.take(measured, after);
    clock.take(step(41), after);
  }
  expect(clock.seconds()).toBe(3);
  // Half a second of these three seconds is the step after the evaluation.
  expect(secondsLeft(config, data, clock.seconds())).toBeCloseTo(30 + 3 * 2.5, 9);
});

it("knows nothing of a run with hardly a step", () => {
  expect(secondsLeft(config, { ...data, steps: noSteps() }, 1)).toBeUndefined();
});
