import { expect, it } from "vitest";
import { estimateLines, summaryLines, type ToldRun } from "#foretoken/cli/display/texts/run-text.js";
import type { DoneEvent, EvalEvent, StartEvent } from "#foretoken/runs/events.js";
import { start } from "./start-event.ts";
import { style } from "./style.ts";

const done: DoneEvent = {
  ...{ v: 1, type: "done", task: "train", step: 1000, reason: "finished", out: "runs/a" },
  ...{ valLoss: 2, bestValLoss: 2, bestStep: 1000 },
};
const told = (begun: StartEvent, end: Partial<DoneEvent> = {}): ToldRun => ({
  ...{ start: begun, done: { ...done, ...end }, before: undefined, measured: undefined, sample: undefined },
  ...{ checkpoint: "runs/a/checkpoint", keepsBest: true, seconds: 3 },
});
const lora = { rank: 8, alpha: 16, dropout: 0, targets: ["query"] };
const withAdapter = { ...start, config: { ...start.config, lora } } as unknown as StartEvent;

const summary = (run: ToldRun): string => summaryLines(run, { why: "why" }, 200, style(true)).join("\n");

it("a finished run that trained an adapter names the commands that merge and export it, and no other run does", () => {
  const lines = summary(told(withAdapter));
  expect(lines).toContain("npx foretoken merge runs/a  # merge the adapter into its model");
  expect(lines).toContain("npx foretoken export runs/a --format gguf  # the merged model for llama.cpp and Ollama");
  for (const run of [told(withAdapter, { reason: "interrupted" }), told(start)]) {
    expect(summary(run)).not.toMatch(/merge|export/u);
  }
});

it("the estimate of a run's time has the speed that its steps have", () => {
  const event = { v: 1, type: "estimate", step: 6, timedSteps: 5, stepSeconds: 2, secondsLeft: 60 } as const;
  expect(estimateLines(event, 12, 200, style(true)).join("\n")).toContain("2.0 s a step · 12 tokens/s · by 5 steps");
  expect(estimateLines(event, undefined, 200, style(true)).join("\n")).not.toContain("tokens/s");
});

it("the number of predicted tokens is one less than the number of held-out tokens, and the line says so", () => {
  const losses = { valLoss: 2, trainLoss: 2, natsPerCharacter: 2, bitsPerByte: 3, perplexity: 7, best: true };
  const measured = { v: 1, type: "eval", step: 1000, tokens: 99, ...losses } as unknown as EvalEvent;
  expect(summary({ ...told(start), measured })).toContain(
    "99 tokens predicted, all of the validation text but the first",
  );
});
