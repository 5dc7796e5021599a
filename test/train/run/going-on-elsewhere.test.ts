/**
 * Notices before the first step. The notices say that a run continues on another backend, or that it learns nothing.
 */
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { type NewRun, train } from "#foretoken/train/train.node.js";
import { anyBackend, collect, tinyRun, useFolder, wordsText } from "../../support/runs.ts";

const { newPath, writeText } = useFolder();

let data = "";
/** A run that was stopped after its first step, and its notices. */
let stopped = "";
const notices: string[] = [];
const onNotice = (line: string): void => void notices.push(line);
const options = (out: string | null, more: Partial<NewRun> = {}): NewRun => ({
  ...{ preset: "book", config: tinyRun, data, out, ...anyBackend, finalSampleTokens: 0, onNotice },
  ...more,
});

beforeAll(async () => {
  data = await writeText(wordsText("elsewhere", 300));
  stopped = newPath();
  await collect(train(options(stopped, { stopAt: 1 })));
});

/** The notices of a resumed run up to its second step. */
const saidOn = async (backend: "wasm" | "reference"): Promise<readonly string[]> => {
  notices.length = 0;
  await collect(train({ resume: stopped, backend, threads: 1, stopAt: 2, onNotice }));
  return notices;
};

it("says that a run goes on on another backend than it was begun on", async () => {
  expect(notices).toEqual([]);
  expect(await saidOn("reference")).toEqual([
    "the run began on wasm (simd128) and continues on reference (javascript): from here on, the last bits of its results may differ",
  ]);
});

it("says that nothing is learned where the learning rate is 0 in all steps, and only there", async () => {
  // This schedule is like the schedule of fine-tuning: no warm-up, and a learning rate of 0 in the last step.
  const schedule = { kind: "cosine", minLearningRate: 0 } as const;
  const said = async (steps: number, more: object = {}): Promise<readonly string[]> => {
    notices.length = 0;
    const plan = { ...tinyRun.train, steps, warmupSteps: 0, schedule, evalInterval: steps, ...more };
    const config = { ...tinyRun, train: plan };
    await collect(train(options(null, { config, initFrom: join(stopped, "checkpoint") })));
    return notices;
  };
  expect(await said(1)).toEqual([
    "the learning rate is 0 in its only step, so nothing is learned: the schedule ends at train.schedule.minLearningRate; try more steps, or --train.schedule.kind constant",
  ]);
  expect(await said(2)).toEqual([]);
  expect(await said(1, { warmupSteps: 2 })).toEqual([]);
});
