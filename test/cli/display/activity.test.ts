/** While a run does something other than steps, its display says what the run does. */
import { expect, test } from "vitest";
import { liveFrame } from "#foretoken/cli/display/drawing/live-frame.js";
import { activityAfter } from "#foretoken/cli/display/reporters/activity.js";
import { liveFigures } from "#foretoken/cli/display/reporters/live-figures.js";
import { createRecord, takeNote } from "#foretoken/cli/display/reporters/run-record.js";
import type { StartEvent, TrainEvent } from "#foretoken/runs/events.js";
import { start as whole } from "./start-event.ts";
import { style } from "./style.ts";

const planned = { ...whole.config.train, steps: 10, evalInterval: 4, checkpointInterval: 6, sampleTokens: 20 };
const run = (changes: object = {}, fields: object = {}): StartEvent => ({
  ...whole,
  ...fields,
  config: { ...whole.config, train: { ...planned, ...changes } },
});
const event = (fields: object): TrainEvent => fields as TrainEvent;
const step = (at: number): TrainEvent =>
  event({ v: 1, type: "step", step: at, loss: 2, learningRate: 1e-3, tokensPerSecond: 1000 });
const evaluated = (at: number, reason: string): TrainEvent => event({ type: "eval", step: at, valLoss: 2, reason });
const sample = (at: number): TrainEvent => event({ type: "sample", step: at });

test("after each event it is what the run does next, besides steps", () => {
  const after = (one: TrainEvent, start = run(), stopping = false) => activityAfter(start, one, stopping);
  expect(after(step(3))).toBeUndefined();
  expect(after(step(4))).toBe("measuring on the validation text");
  expect(after(evaluated(4, "interval"))).toBe("writing a sample");
  expect(after(sample(4))).toBeUndefined();
  expect(after(step(6))).toBe("saving");
  expect(after(step(6), run({}, { out: null }))).toBeUndefined();
  expect(after(evaluated(4, "interval"), run({ sampleTokens: 0 }))).toBeUndefined();
  expect(after(evaluated(0, "begin"))).toBeUndefined();
  expect(after(step(3), run(), true)).toBe("saving");
  const resumed = run({}, { step: 10 });
  expect(after(resumed, resumed)).toBe("running the missed evaluation");
});

test("from the last step to the end the display says it in place of the time that is left", () => {
  const figures = liveFigures();
  const record = createRecord(run());
  const shown = (one: TrainEvent): string => {
    takeNote(record, one);
    figures.take(one, record);
    return liveFrame(figures.stateOf(record), 120, 24, style(true)).slice(-2).join("\n");
  };
  shown(record.start);
  expect(shown(step(8))).not.toContain("left");
  expect(shown(step(9))).toMatch(/90% · \d+:\d\d left/u);
  for (const [one, words] of [
    [step(10), "measuring on the validation text…"],
    [evaluated(10, "end"), "writing a sample…"],
    [sample(10), "saving…"],
  ] as const) {
    const lines = shown(one);
    expect(lines).toContain("100%");
    expect(lines).not.toContain("left");
    expect(lines).toContain(words);
  }
  expect(shown(event({ type: "checkpoint", step: 10, path: "run" }))).not.toContain("…");
});
