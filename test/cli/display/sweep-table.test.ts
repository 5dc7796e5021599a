import { expect, test } from "vitest";
import { sweepTable } from "#foretoken/cli/display/texts/sweep-table.js";
import type { SweepResult, SweptSetting } from "#foretoken/index.js";

const setting = (number: number, steps: number, ending: SweptSetting["ending"]): SweptSetting => ({
  ...{ number, name: `rate ${number}`, ending, steps, plannedSteps: 200 },
  ...{ losses: [{ seed: 1, natsPerCharacter: 3 }], natsPerCharacter: 3, aboveWinner: null },
});
const runOf = (seed: number, natsPerCharacter: number) => ({ seed, natsPerCharacter, bitsPerByte: 4 });

const resultOf = (settings: readonly SweptSetting[], losses: readonly number[]): SweepResult => ({
  ...{ settings, winner: 1, plannedSteps: 200 * settings.length },
  heldOut: { natsPerCharacter: 3.1, bitsPerByte: 4, runs: losses.map((loss, i) => runOf(i + 1, loss)) },
  steps: settings.reduce((sum, { steps }) => sum + steps, 0),
});

const finished = setting(1, 200, { kind: "finished" });

test("names the lowest and the highest loss of several seeds; one seed has no range", () => {
  const told = (losses: readonly number[]) =>
    sweepTable(resultOf([finished], losses), [1, 2], Number.POSITIVE_INFINITY);
  expect(told([3, 3.2])).toContain(
    "3.1000 nats per character (mean of 2 seeds; lowest 3.0000, highest 3.2000) and 4.0000",
  );
  expect(told([3.1])).toContain("3.1000 nats per character and 4.0000 bits per byte");
});

test("steps of failed settings, and steps that the budget had no room for, are not saved", () => {
  const race = (steps: number, seeds: number) => setting(2, steps, { kind: "race", p: 0.01, seeds });
  const settings = [
    ...[finished, race(100, 1), setting(3, 20, { kind: "failed", reason: "loss is not finite" })],
    setting(4, 100, { kind: "budget" }),
  ];
  const table = sweepTable(resultOf(settings, [3]), [1, 2], Number.POSITIVE_INFINITY);
  expect(table).toContain("stopped after 1 seed: another setting is better (p = 0.010)");
  expect(table).toContain(
    "420 steps of 800 were trained; 13% of the steps were saved by early stops; 23% of the steps are missing because settings failed; 13% of the steps did not fit into the budget.",
  );
  const all = sweepTable(resultOf([finished, race(200, 2)], [3]), [1, 2], Number.POSITIVE_INFINITY);
  expect(all).toContain("  another setting is better (p = 0.010)");
  expect(all).not.toContain("stopped");
  expect(all).toContain("400 steps of 400 were trained; 0% of the steps were saved by early stops.");
});
