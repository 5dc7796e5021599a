import { expect, it } from "vitest";
import type { RunSummary } from "#foretoken/serve/studio/protocol.js";
import { stateWords } from "../../web/parts/state-words.ts";

const run = (changes: Partial<RunSummary>): RunSummary => ({
  ...({ state: "unfinished", owner: null, paused: false, failure: null, step: 3, steps: 2000 } as RunSummary),
  ...changes,
});

it("promises that a run can be resumed only where it has a checkpoint", () => {
  expect(stateWords(run({ hasCheckpoint: true })).about).toContain("Resume the run from its checkpoint");
  expect(stateWords(run({ hasCheckpoint: false })).about).toBe(
    "The run’s process ended unexpectedly, before the first checkpoint. Start the run again.",
  );
});

it("writes large steps with a comma", () => {
  expect(stateWords(run({ state: "interrupted", step: 39383 })).about).toContain("at step 39,383");
  expect(stateWords(run({ state: "finished" })).about).toContain("All 2,000 steps");
});

it("says of a run that failed what happened, in a sentence", () => {
  const failure =
    "step 4: loss and gradient must stay finite; got loss NaN, gradient norm NaN; try a lower train.learningRate";
  expect(stateWords(run({ state: "failed", failure }))).toEqual({
    tone: "bad",
    word: "Failed",
    about: "The loss became NaN at step 4.",
  });
  expect(stateWords(run({ state: "failed" })).about).toBe("The run ended with an error.");
});
