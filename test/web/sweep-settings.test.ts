import { describe, expect, it } from "vitest";
import type { RunSeries, RunSummary, SweepSummary } from "#foretoken/serve/studio/protocol.js";
import { fittingNames } from "../../web/chart/labels.ts";
import { createRunData, type RunData } from "../../web/run/run-data.ts";
import { curveNames, shortNamesTitle } from "../../web/sweep/curve-names.ts";
import { agreeing, versionOf } from "../../web/sweep/evaluations.ts";
import { mostShown, settingRows, shownNumbers, sweepState } from "../../web/sweep/settings.ts";

const run = (name: string, step: number, loss: number | null, state = "finished", owner: string | null = null) =>
  ({
    ...{ name, step, steps: 10, state, owner },
    best: loss === null ? null : { step, natsPerCharacter: loss },
  }) as unknown as RunSummary;

/** Evaluations after each 4 steps. */
const seriesOf = (losses: readonly number[]): RunSeries => ({
  ...{ offset: 0, samples: [], leftOut: [], valTokens: 10, chat: false, valIsTraining: false, tokensPerStep: 16 },
  steps: { step: [], loss: [], learningRate: [], gradNorm: [], tokensPerSecond: [] },
  evals: {
    step: losses.map((_, i) => 4 * (i + 1)),
    ...{ valLoss: losses, trainLoss: losses, natsPerCharacter: losses, bitsPerByte: losses },
  },
  ...{ mostSteps: 1000, thinned: null },
});

const sweepOf = (count: number, fields: Partial<SweepSummary> = {}): SweepSummary => ({
  ...{ name: "rates", isRunning: true, seeds: [1, 2], stop: "race", phase: 1, result: null, command: null },
  settings: Array.from({ length: count }, (_, i) => ({
    ...{ name: `rate ${i + 1}`, parts: [{ field: "rate", value: `${i + 1}` }], steps: 10, ending: null },
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
    expect(rows[1]?.state.about).toBe("1 of 2 seeds done.");
    const [cut] = settingRows(sweepOf(1), [...runs, run("rates:01-seed2", 3, 2, "interrupted")]);
    expect(cut?.state.about).toBe("1 of 2 seeds done, 1 interrupted.");
    // The run that has ended counts, and not the one on its way. Without any that has ended, the loss is one of the moment.
    const [half] = settingRows(sweepOf(1), [run("rates:01-seed1", 10, 2), run("rates:01-seed2", 4, 3, "unfinished")]);
    expect([half?.loss, half?.isSoFar]).toEqual([2, false]);
    expect(rows.map(({ isSoFar }) => isSoFar)).toEqual([true, false, true]);
    const [whole] = settingRows(sweepOf(1), [run("rates:01-seed1", 10, 2), run("rates:01-seed2", 10, 3)]);
    expect([whole?.loss, whole?.state]).toEqual([2.5, { tone: "good", word: "Done", about: "2 seeds." }]);
    expect(sweepState(sweepOf(3), rows)).toMatchObject({ word: "Running", about: "Stage 1." });
    expect(sweepState(sweepOf(3, { isRunning: false, phase: null }), settingRows(sweepOf(3), [])).word).toBe("Stopped");
  });

  it("have the losses of their curves, which the page may read before the list or after it", () => {
    const evals = createRunData(seriesOf([2.5, 2, 2.25])).evals;
    const read = new Map([["rates:01-seed1", { evals } as RunData]]);
    const [older, newer, other] = [
      run("rates:01-seed1", 8, 2.5),
      run("rates:01-seed1", 12, 1.75),
      run("rates:02-seed1", 8, 2.4),
    ];
    for (const listed of [older, newer]) {
      const rows = settingRows(sweepOf(2), agreeing([listed, other], read));
      expect(rows.map(({ number, loss }) => [number, loss])).toEqual([
        [1, 2],
        [2, 2.4],
      ]);
    }
    // A curve without values says nothing about the loss.
    const none = new Map([["rates:01-seed1", createRunData(seriesOf([]))]]);
    expect(agreeing([older], none)[0]?.best).toEqual(older.best);
  });

  it("are read again after an evaluation, which a run logs after its step", () => {
    const at = (step: number, best: number | null) =>
      versionOf({
        ...run("rates:01-seed1", step, 2),
        best: best === null ? null : { step: best, valLoss: 2, natsPerCharacter: 2, bitsPerByte: 3 },
        config: { train: { evalInterval: 4 } } as RunSummary["config"],
      });
    // The step is logged, and its evaluation may still be missing.
    expect(at(4, null)).toBe(at(3, null));
    expect(at(4, 4)).not.toBe(at(4, null));
    expect(at(9, 4)).not.toBe(at(8, 4));
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
      [1, "Stopped after 1 seed. Another setting is better (p\u00a0<\u00a00.001)."],
      [2, "Not the best. Another setting is better (p\u00a0=\u00a00.020)."],
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
      [1, 1.25, "+0.2500\u00a0±\u00a00.1000", 20],
    ]);
    expect(rows.map(({ mayBeAsGood }) => mayBeAsGood)).toEqual([false, false]);
    const [near] = result.settings;
    if (near?.aboveWinner == null) throw new Error("the first setting has a distance");
    const aboveWinner = { natsPerCharacter: 0.05, halfWidth95: 0.1 };
    const close = { ...result, settings: result.settings.with(0, { ...near, aboveWinner }) };
    const asGood = settingRows({ ...sweep, result: close }, []).map((row) => [row.number, row.mayBeAsGood]);
    expect(asGood).toEqual([
      [2, false],
      [1, true],
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

describe("names of settings in a chart", () => {
  const setting = (number: number, ...parts: readonly (readonly [string | null, string])[]) => ({
    ...{ number, parts: parts.map(([field, value]) => ({ field, value })) },
    name: parts.map(([field, value]) => (field === null ? value : `${field} ${value}`)).join(", "),
  });

  it("keep each value that the sweep varies, and the number of the table", () => {
    const rows = ["0.003", "0.012", "0.03"].flatMap((rate, i) =>
      ["1", "2"].map((layers, k) => setting(2 * i + k + 1, ["learningRate", rate], ["nLayer", layers])),
    );
    const names = rows.map(curveNames);
    expect(names[2]).toEqual({
      label: "3 learningRate 0.012, nLayer 1",
      shorter: { short: "3: 0.012 · 1", tag: "3" },
    });
    expect(shortNamesTitle(rows)).toBe("learningRate · nLayer:");
    // Both in the key above the chart and at the lines.
    const short = ["1: 0.003 · 1", "2: 0.003 · 2", "3: 0.012 · 1", "4: 0.012 · 2", "5: 0.03 · 1", "6: 0.03 · 2"];
    expect(fittingNames(names, 28, "short")).toEqual(short);
    expect(fittingNames(names, 18, "tag")).toEqual(short);
  });

  it("have no title if only whole settings with names are compared", () => {
    expect(shortNamesTitle([setting(1, [null, "small"]), setting(2, [null, "wide"])])).toBeUndefined();
    expect(shortNamesTitle([setting(1, [null, "small"], ["dropout", "0.1"])])).toBe("setting · dropout:");
    expect(shortNamesTitle([])).toBeUndefined();
  });
});
