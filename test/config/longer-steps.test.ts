import { expect, test } from "vitest";
import { longerSteps, stepsInVain } from "#foretoken/config/longer-steps.js";

test("a longer run has three times the steps, or as many as patience is sure to let it take", () => {
  const steps = (patience: number, evalInterval: number, done: number): number =>
    longerSteps({ patience, evalInterval }, done);
  expect(steps(0, 100, 1000)).toBe(3000);
  expect(steps(3, 45, 450)).toBe(585);
  // The evaluations at steps 84 and 96 are the first two evaluations of the longer run. The third evaluation, at step
  // 108, ends the run.
  expect(steps(3, 12, 80)).toBe(108);
  expect(steps(100, 10, 20)).toBe(60);
  // The new number of steps is always larger than before.
  for (const done of [1, 7, 12, 13]) expect(steps(1, 12, done)).toBeGreaterThan(done);
});

test("added steps were in vain where the best weights are older than they are", () => {
  const extensions = [
    { after: 100, planned: 100, schedule: "stretch" as const },
    { after: 300, planned: 300, schedule: "stretch" as const },
  ];
  expect(stepsInVain({ extensions }, 900, 300)).toBe(600);
  expect(stepsInVain({ extensions }, 900, 80)).toBe(600);
  expect(stepsInVain({ extensions }, 900, 320)).toBe(0);
  // The run has not been extended, has no evaluation, or has not continued since its extension.
  expect(stepsInVain({ extensions }, 300, 300)).toBe(0);
  expect(stepsInVain({ extensions }, 900, null)).toBe(0);
  expect(stepsInVain({}, 900, 100)).toBe(0);
});
