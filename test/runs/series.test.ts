import { appendFile, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { TrainEvent } from "#foretoken/runs/events.js";
import { readColumns } from "#foretoken/runs/list/series.node.js";
import { train } from "#foretoken/train/train.node.js";
import { hashInteger } from "../support/hash.ts";
import { anyBackend, collect, tinyRun, useFolder, wordsText } from "../support/runs.ts";

const { newPath, writeText } = useFolder();

const ofType = <T extends TrainEvent["type"]>(events: readonly TrainEvent[], type: T) =>
  events.filter((event): event is Extract<TrainEvent, { type: T }> => event.type === type);

/** A folder with a metrics.jsonl that contains `lines`. */
const noted = async (lines: readonly (object | string)[]): Promise<string> => {
  const folder = newPath();
  await mkdir(folder);
  const written = lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`);
  await writeFile(join(folder, "metrics.jsonl"), written.join(""));
  return folder;
};

const stepLine = (step: number, loss = step / 8) => ({
  ...{ v: 1, type: "step", step, loss, learningRate: 0.5, gradNorm: 2, tokensPerSecond: 100 },
});
const evalLine = (step: number, valLoss: number, reason = "interval") => ({
  ...{ v: 1, type: "eval", step, trainLoss: null, valLoss, natsPerCharacter: 1, bitsPerByte: 1, reason },
});
const sampleLine = (step: number, written: string) => ({ v: 1, type: "sample", step, prompt: "a", text: written });
const leftOutLine = (step: number) => ({ v: 1, type: "nonfinite", step, loss: null, gradNorm: null });

describe("a run's columns", () => {
  it("have the numbers of its events, and end where its notes end", async () => {
    const out = newPath();
    const data = await writeText(wordsText("series", 300));
    const events = await collect(train({ data, out, ...anyBackend, config: tinyRun, preset: "book" }));
    const columns = await readColumns(out);
    const steps = ofType(events, "step");
    expect(steps.length).toBe(12);
    expect(columns.steps).toEqual({
      step: steps.map(({ step }) => step),
      loss: steps.map(({ loss }) => loss),
      learningRate: steps.map(({ learningRate }) => learningRate),
      gradNorm: steps.map(({ gradNorm }) => gradNorm),
      tokensPerSecond: steps.map(({ tokensPerSecond }) => tokensPerSecond),
    });
    const evals = ofType(events, "eval");
    expect(columns.evals).toEqual({
      step: evals.map(({ step }) => step),
      valLoss: evals.map(({ valLoss }) => valLoss),
      trainLoss: evals.map(({ trainLoss }) => trainLoss),
      natsPerCharacter: evals.map(({ natsPerCharacter }) => natsPerCharacter),
      bitsPerByte: evals.map(({ bitsPerByte }) => bitsPerByte),
    });
    expect(columns.samples).toEqual(ofType(events, "sample").map(({ step, prompt, text }) => ({ step, prompt, text })));
    expect(columns.offset).toBe((await stat(join(out, "metrics.jsonl"))).size);
  });

  it("have the losses of averaged weights, if a run has them, and drop them with their evaluations", async () => {
    const averaged = (step: number, valLoss: number) => ({ ...evalLine(step, 3), averaged: { valLoss } });
    const folder = await noted([evalLine(0, 4), averaged(2, 2.5), averaged(4, 2.25), averaged(4, 2), evalLine(6, 3)]);
    const { evals } = await readColumns(folder);
    expect(evals.step).toEqual([0, 2, 4, 6]);
    expect(evals.averagedLoss).toEqual([null, 2.5, 2, null]);
  });

  it("end before half a line, and skip damaged lines and lines with other than numbers", async () => {
    const folder = await noted([
      stepLine(1),
      '{"v":1,"type":"step","step":2,"loss":',
      { ...stepLine(2), loss: null },
      { ...stepLine(2), gradNorm: "2" },
      { ...stepLine(2), step: -2 },
      { ...stepLine(2), step: "2" },
      '{"v":1,"type":"step","step":2,"loss":1e999,"learningRate":1,"gradNorm":1,"tokensPerSecond":1}',
      { ...evalLine(1, 3), valLoss: null },
      { ...sampleLine(1, "x"), text: 3 },
      "null",
      "[]",
      "",
      stepLine(3),
    ]);
    const path = join(folder, "metrics.jsonl");
    const { size } = await stat(path);
    await appendFile(path, JSON.stringify(stepLine(4)).slice(0, -1));
    const columns = await readColumns(folder);
    expect(columns.steps.step).toEqual([1, 3]);
    expect(columns.evals.step).toEqual([]);
    expect(columns.samples).toEqual([]);
    expect(columns.offset).toBe(size);
  });

  it("have repeated steps once, as the resumed run took them, without what followed the first time", async () => {
    const folder = await noted([
      ...[1, 2, 3].map((step) => stepLine(step)),
      sampleLine(3, "first"),
      leftOutLine(4),
      stepLine(5),
      evalLine(5, 3),
      { v: 1, type: "start", step: 3 },
      evalLine(3, 5),
      sampleLine(3, "second"),
      stepLine(4, 9),
    ]);
    const { steps, evals, samples, leftOut } = await readColumns(folder);
    expect([steps.step, steps.loss]).toEqual([
      [1, 2, 3, 4],
      [1 / 8, 2 / 8, 3 / 8, 9],
    ]);
    expect([evals.step, evals.valLoss]).toEqual([[3], [5]]);
    expect(samples).toEqual([{ step: 3, prompt: "a", text: "second" }]);
    expect(leftOut).toEqual([]);
  });

  it("lack what runs in the first form measured where they were stopped", async () => {
    const { evals } = await readColumns(await noted([stepLine(1), evalLine(1, 4), evalLine(1, 3, "interrupted")]));
    expect([evals.step, evals.valLoss]).toEqual([[1], [4]]);
  });

  it("name the steps that were left out, also the last ones", async () => {
    const folder = await noted([stepLine(1), leftOutLine(2), leftOutLine(3), stepLine(4), leftOutLine(5)]);
    const { steps, leftOut } = await readColumns(folder);
    expect([steps.step, leftOut]).toEqual([
      [1, 4],
      [2, 3, 5],
    ]);
  });

  it("are whole where lines are cut between two reads, or are too long to be notes", async () => {
    const long = JSON.stringify(sampleLine(2, "ü".repeat(2 ** 24)));
    const folder = await noted([
      sampleLine(1, "ü".repeat(200_000)),
      long,
      ...Array.from({ length: 5000 }, (_, i) => stepLine(i + 3)),
    ]);
    const { steps, samples, offset } = await readColumns(folder);
    expect(samples.map(({ step, text }) => [step, text.length])).toEqual([[1, 200_000]]);
    expect(steps.step).toEqual(Array.from({ length: 5000 }, (_, i) => i + 3));
    expect(offset).toBe((await readFile(join(folder, "metrics.jsonl"))).length);
  });

  it("are empty for a run without notes", async () => {
    const { offset, steps, evals, samples, leftOut } = await readColumns(newPath());
    expect([offset, steps.step, evals.step, samples, leftOut]).toEqual([0, [], [], [], []]);
  });

  it("of a long run are thinned: the extremes and the last steps stay, as they were noted, and so does the time", async () => {
    const count = 20_000;
    const valueAt = (step: number, of: string): number => 2 + hashInteger(of, step, 1000) / 1000;
    const lines = Array.from({ length: count }, (_, i) => ({
      ...stepLine(i + 1, i + 1 === 7777 ? 40 : i + 1 === 12_345 ? -3 : valueAt(i + 1, "loss")),
      gradNorm: i + 1 === 3333 ? 90 : valueAt(i + 1, "norm"),
      tokensPerSecond: 10 * valueAt(i + 1, "rate"),
    }));
    const run = await noted(lines);
    const all = await readColumns(run);
    const { steps, thinned } = await readColumns(run, 2000);
    expect(all.thinned).toBeNull();
    expect(all.steps.step).toHaveLength(count);
    expect(steps.step.length).toBeLessThanOrEqual(2000);
    expect(steps.step.length).toBeGreaterThan(700);
    expect([Math.max(...steps.loss), Math.min(...steps.loss), Math.max(...steps.gradNorm)]).toEqual([40, -3, 90]);
    expect(steps.step.slice(-500)).toEqual(Array.from({ length: 500 }, (_, i) => count - 499 + i));
    const seconds = lines.map(({ tokensPerSecond }) => 1 / tokensPerSecond);
    let sum = 0;
    const sums = seconds.map((one) => {
      sum += one;
      return sum;
    });
    for (const [i, step] of steps.step.entries()) {
      const { loss, learningRate, gradNorm, tokensPerSecond } = steps;
      const row = { loss: loss[i], learningRate: learningRate[i], gradNorm: gradNorm[i] };
      expect({ ...row, tokensPerSecond: tokensPerSecond[i] }).toEqual({
        loss: all.steps.loss[step - 1],
        learningRate: all.steps.learningRate[step - 1],
        gradNorm: all.steps.gradNorm[step - 1],
        tokensPerSecond: all.steps.tokensPerSecond[step - 1],
      });
      expect(thinned?.time[i]).toBe(sums[step - 1]);
    }
    // The remaining steps come from every part of the run.
    const gaps = steps.step.map((step, i) => step - (steps.step[i - 1] ?? 0));
    expect(Math.max(...gaps)).toBeLessThan(256);

    // If a resumed run repeats steps, the repeated values are used.
    const repeated = await noted([...lines, ...[15_000, 15_001].map((step) => stepLine(step, 9))]);
    const { steps: again } = await readColumns(repeated, 2000);
    expect(again.step.slice(-2)).toEqual([15_000, 15_001]);
    expect(again.loss.slice(-2)).toEqual([9, 9]);
  });

  it("say whether the run learns conversations", async () => {
    const begun = (documents: object) => ({ v: 1, type: "start", step: 0, valTokens: 4, ...documents });
    const chats = await Promise.all(
      [begun({ documents: { chat: true } }), begun({ documents: { chat: false } }), begun({})].map(async (line) =>
        readColumns(await noted([line])),
      ),
    );
    expect(chats.map(({ chat }) => chat)).toEqual([true, false, false]);
  });

  it("have no time of a step whose rate cannot be", async () => {
    const run = await noted(
      Array.from({ length: 40 }, (_, i) => ({ ...stepLine(i + 1), tokensPerSecond: i === 5 ? 5e-324 : 100 })),
    );
    expect((await readColumns(run)).steps.tokensPerSecond[5]).toBe(0);
    const { steps, thinned } = await readColumns(run, 30);
    expect(thinned?.time).toHaveLength(steps.step.length);
    expect(thinned?.time.at(-1)).toBeCloseTo(39 / 100, 10);
  });

  it("are all there up to the number asked for", async () => {
    const run = await noted(Array.from({ length: 300 }, (_, i) => stepLine(i + 1)));
    expect((await readColumns(run, 300)).thinned).toBeNull();
    expect((await readColumns(run, 299)).steps.step.length).toBeLessThan(300);
  });

  it("are not read to their end for a signal that was aborted", async () => {
    const run = await noted(Array.from({ length: 10_000 }, (_, i) => stepLine(i + 1)));
    const controller = new AbortController();
    const reading = readColumns(run, 100, controller.signal);
    controller.abort(new Error("nobody waits"));
    await expect(reading).rejects.toThrow("nobody waits");
  });
});
