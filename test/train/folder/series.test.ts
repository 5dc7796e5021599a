import { appendFile, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { TrainEvent } from "#foretoken/train/events.js";
import { readColumns } from "#foretoken/train/folder/series.node.js";
import { train } from "#foretoken/train/train.node.js";
import { collect, smallRun, useFolder, wordsText } from "../../support/runs.ts";

const { newPath, writeText } = useFolder();

const ofType = <T extends TrainEvent["type"]>(events: readonly TrainEvent[], type: T) =>
  events.filter((event): event is Extract<TrainEvent, { type: T }> => event.type === type);

/** A folder with `lines` as its notes. */
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
    const events = await collect(train({ data, out, backend: "reference", config: smallRun, preset: "book" }));
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
      interrupted: evals.map(() => false),
    });
    expect(columns.samples).toEqual(ofType(events, "sample").map(({ step, prompt, text }) => ({ step, prompt, text })));
    expect(columns.offset).toBe((await stat(join(out, "metrics.jsonl"))).size);
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
      evalLine(3, 4, "interrupted"),
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
    expect([evals.step, evals.valLoss, evals.interrupted]).toEqual([[3], [5], [false]]);
    expect(samples).toEqual([{ step: 3, prompt: "a", text: "second" }]);
    expect(leftOut).toEqual([]);
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
});
