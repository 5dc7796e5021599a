import { expect, it } from "vitest";
import type { RunSummary } from "#foretoken/serve/studio/protocol.js";
import { bestBefore, expectedLoss, fewestTokens, proseLoss } from "../../web/new-run/expected-loss.ts";
import { newestBest } from "../../web/run/newest-best.ts";
import { firstEvaluation, notMeasured, untrainedLoss } from "../../web/run/not-yet.ts";
import { createRunData } from "../../web/run/run-data.ts";

const begun = {
  ...{ state: "unfinished", owner: "studio", step: 0, steps: 500, initFrom: null, vocabSize: 65 },
  config: { train: { evalInterval: 50 } },
} as unknown as RunSummary;

it("says when the first evaluation comes", () => {
  const at = (step: number, steps = 500) => firstEvaluation({ ...begun, step, steps });
  expect([at(0), at(1), at(50), at(51), at(0, 20)]).toEqual([50, 50, 50, 100, 20]);
  expect(notMeasured(begun)).toBe("first at step 50");
  expect(notMeasured({ ...begun, initFrom: "runs/a/best" })).toBe("before the first step");
  expect(notMeasured({ ...begun, state: "failed", owner: null })).toBe("never measured");
  expect(untrainedLoss(begun)).toBeCloseTo(4.174, 3);
  expect(untrainedLoss({ ...begun, initFrom: "runs/a/best" })).toBeUndefined();
});

it("takes the best evaluation from the events that came after the summary", () => {
  const losses = [4, 3, 3.5, 2];
  const data = createRunData({
    ...{ offset: 0, samples: [], leftOut: [], valTokens: null, chat: false, tokensPerStep: 1, mostSteps: 100 },
    valIsTraining: false,
    steps: { step: [], loss: [], learningRate: [], gradNorm: [], tokensPerSecond: [] },
    evals: { step: [0, 1, 2, 3], valLoss: losses, trainLoss: losses, natsPerCharacter: losses, bitsPerByte: losses },
    thinned: null,
  });
  const best = (step: number, valLoss: number) => ({ step, valLoss, natsPerCharacter: valLoss, bitsPerByte: valLoss });
  expect(newestBest(best(1, 3), data)).toEqual(best(3, 2));
  expect(newestBest(null, data)).toEqual(best(3, 2));
  // The run has lost its best weights of step 3, and compares with a later evaluation.
  const kept = best(4, 5);
  expect(newestBest(kept, data)).toBe(kept);
});

it("compares a plan with prose of its length, and with earlier runs on the same text", () => {
  expect([1, 4000, 40_000, 1e9].map(proseLoss)).toEqual([2.4, 2.4, 1.8, 1.5]);
  expect(proseLoss(12_649)).toBeCloseTo(2.1, 3);
  const config = { tokenizer: { kind: "char" } };
  const ofLength = (trainTokens: number) =>
    expectedLoss({ text: { kind: "given", name: "a.txt", text: "a" } }, {
      ...{ config, vocabSize: 65, trainTokens },
    } as unknown as Parameters<typeof expectedLoss>[1]);
  expect(ofLength(4000)).toEqual({ loss: 2.4, of: "English prose of this length" });
  // Prose says nothing about a text of a few words.
  expect([ofLength(fewestTokens)?.loss, ofLength(fewestTokens - 1)]).toEqual([2.4, undefined]);
  const run = (corpus: string, valLoss: number, vocabSize = 65) =>
    ({ corpus, config, vocabSize, best: { valLoss } }) as unknown as RunSummary;
  const runs = [run("a.txt", 3), run("a.txt", 2), run("a.txt", 1, 90), run("b.txt", 1)];
  const plan = { config, vocabSize: 65 } as unknown as Parameters<typeof bestBefore>[1];
  expect(bestBefore({ text: { kind: "file", path: "notes/a.txt" } }, plan, runs)).toBe(2);
  expect(bestBefore({ text: { kind: "corpus", name: "c" } }, plan, runs)).toBeUndefined();
  expect(bestBefore({ text: { kind: "given", name: "a.txt", text: "a" } }, plan, runs)).toBeUndefined();
});
