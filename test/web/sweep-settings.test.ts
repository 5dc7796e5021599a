import { describe, expect, it } from "vitest";
import type { RunSummary, SweepSummary } from "#foretoken/serve/studio/protocol.js";
import { mostShown, settingRows, shownNumbers, sweepState } from "../../web/sweep/settings.ts";

const run = (name: string, step: number, loss: number | null, state = "finished", owner: string | null = null) =>
  ({
    ...{ name, step, steps: 10, state, owner },
    best: loss === null ? null : { step, natsPerCharacter: loss },
  }) as unknown as RunSummary;

const sweepOf = (count: number, fields: Partial<SweepSummary> = {}): SweepSummary => ({
  ...{ name: "rates", isRunning: true, seeds: [1, 2], stop: "race", phase: 1, result: null, command: null },
  settings: Array.from({ length: count }, (_, i) => ({
    ...{ name: `rate ${i + 1}`, steps: 10, ending: null },
    runs: [1, 2].map((seed) => `rates:0${i + 1}-seed${seed}`),
  })),
  ...fields,
});

describe("settings of a sweep", () => {
  it("have the losses, steps and states of their runs so far; the lowest loss is first", () => {
    const runs = [run("rates:01-seed1", 10, 2), run("rates:02-seed1", 4, 1.5, "unfinished", "elsewhere")];
    const rows = settingRows(sweepOf(3), [...runs, run("other", 9, 1)]);
    expect(rows.map(({ number, step, steps, loss, state }) => [number, step, steps, loss, state.word])).toEqual([
      [2, 4, 20, 1.5, "Training"],
      [1, 10, 20, 2, "Waiting"],
      [3, 0, 20, null, "Not begun"],
    ]);
    expect(rows[1]?.state.about).toBe("1 of 2 seeds begun.");
    expect(sweepState(sweepOf(3), rows)).toMatchObject({ word: "Running", about: "Stage 1." });
    expect(sweepState(sweepOf(3, { isRunning: false, phase: null }), settingRows(sweepOf(3), [])).word).toBe("Stopped");
  });

  it("that were stopped come last, with the reason", () => {
    const settings = sweepOf(4).settings.map((one, i) => ({
      ...one,
      ending: [
        { kind: "race", p: 0.0004, seeds: 1 } as const,
        { kind: "race", p: 0.02, seeds: 2 } as const,
        { kind: "halving", share: 0.25 } as const,
        null,
      ][i] as SweepSummary["settings"][number]["ending"],
    }));
    const rows = settingRows(sweepOf(4, { settings }), [run("rates:01-seed1", 10, 1)]);
    expect(rows.map(({ number, state }) => [number, `${state.word}. ${state.about}`])).toEqual([
      [4, "Not begun. "],
      [1, "Stopped after 1 seed. Another setting is better (p < 0.001)."],
      [2, "Not the best. Another setting is better (p = 0.020)."],
      [3, "Stopped at 25% of its steps. It was in the worse half."],
    ]);
  });

  it("have the numbers of the result after the end", () => {
    const finished = { kind: "finished" } as const;
    const losses = [1, 2].map((seed) => ({ seed, natsPerCharacter: 1 }));
    const setting = { steps: 20, plannedSteps: 20, losses, ending: finished };
    const result: SweepSummary["result"] = {
      settings: [
        {
          ...{ ...setting, number: 1, name: "rate 1", natsPerCharacter: 1.25 },
          aboveWinner: { natsPerCharacter: 0.25, halfWidth95: 0.1 },
        },
        { ...setting, number: 2, name: "rate 2", natsPerCharacter: 1, aboveWinner: null },
      ],
      winner: 2,
      heldOut: { natsPerCharacter: 1.1, bitsPerByte: 1.6, runs: [] },
      steps: 40,
      plannedSteps: 40,
    };
    const settings = sweepOf(2).settings.map((one) => ({ ...one, ending: finished }));
    const sweep = sweepOf(2, { result, settings, isRunning: false, phase: null });
    const rows = settingRows(sweep, []);
    expect(rows.map(({ number, loss, above, step }) => [number, loss, above, step])).toEqual([
      [2, 1, "best", 20],
      [1, 1.25, "+0.2500 ± 0.1000", 20],
    ]);
    expect(sweepState(sweep, rows).word).toBe("Finished");
    expect(shownNumbers(null, rows)).toEqual([1, 2]);
  });

  it("show at most as many curves as there are styles, and those that the address names", () => {
    const rows = settingRows(sweepOf(12), [run("rates:012-seed1", 10, 1)]);
    expect(shownNumbers(null, rows)).toEqual(Array.from({ length: mostShown }, (_, i) => i + 1));
    expect(shownNumbers("12,3,99,x", rows)).toEqual([3, 12]);
    expect(shownNumbers("", rows)).toEqual([]);
  });
});
