import { expect, it } from "vitest";
import { isSweepResult, type SweepResult, sweptSettings } from "#foretoken/sweep/result.js";

const outcome = (name: string, losses: readonly number[], isStopped = false) => ({
  name,
  ending: isStopped ? ({ kind: "halving", share: 0.5 } as const) : ({ kind: "finished" } as const),
  steps: isStopped ? 6 : 12,
  plannedSteps: 12,
  losses: losses.map((natsPerCharacter, i) => ({ seed: i + 1, natsPerCharacter })),
});
const swept = sweptSettings([outcome("a", [1.9, 2.1]), outcome("b", [1.5, 1.4]), outcome("c", [1.1, 1.2], true)]);
const whole: SweepResult = {
  ...swept,
  heldOut: {
    natsPerCharacter: 1.5,
    bitsPerByte: 2,
    runs: [
      { seed: 1, natsPerCharacter: 1.4, bitsPerByte: 1.9 },
      { seed: 2, natsPerCharacter: 1.6, bitsPerByte: 2.1 },
    ],
  },
  steps: 30,
  plannedSteps: 36,
};
const [a, b, c] = swept.settings;

it("accepts a result that was written and read again", () => {
  expect(isSweepResult(JSON.parse(JSON.stringify(whole)), 3)).toBe(true);
  const failed = { ...outcome("a", []), ending: { kind: "failed", reason: "NaN" }, steps: 0 } as const;
  expect(isSweepResult({ ...sweptSettings([failed]), heldOut: null, steps: 0, plannedSteps: 12 }, 1)).toBe(true);
});

it.each([
  ["winner 0", { winner: 0 }],
  ["winner 1.5", { winner: 1.5 }],
  ["a winner that was stopped", { winner: 3 }],
  ["a winner that is not the best", { winner: 1 }],
  ["no steps", { steps: 0 }],
  ["no planned steps", { plannedSteps: 0 }],
  ["too many steps", { steps: 1e300 }],
  [
    "a setting with no planned steps",
    { settings: [a, b, { ...c, steps: 0, plannedSteps: 0 }], steps: 24, plannedSteps: 24 },
  ],
  ["a setting's loss", { settings: [a, { ...b, natsPerCharacter: 1e300 }, c] }],
  ["a setting's number", { settings: [a, { ...b, number: 7 }, c] }],
  ["the held-out loss", { heldOut: { ...whole.heldOut, natsPerCharacter: 1e300 } }],
  ["the held-out runs", { heldOut: { ...whole.heldOut, runs: [] } }],
])("counts %s as damage", (_, change) => {
  expect(isSweepResult({ ...whole, ...change }, 3)).toBe(false);
});
