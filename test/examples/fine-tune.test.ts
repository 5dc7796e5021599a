import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeAll, expect, test, vi } from "vitest";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { train } from "#foretoken/train/train.node.js";
import { collect, tinyRun, useFolder, wordsText } from "../support/runs.ts";
import { numbersIn, runExample } from "./run-example.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const { newPath, writeText } = useFolder();
let base = "";
let data = "";
beforeAll(async () => {
  const run = newPath();
  base = join(run, "best");
  const text = await writeText(wordsText("base", 300));
  await collect(train({ preset: "book", config: tinyRun, data: text, out: run, backend: "reference" }));
  data = newPath();
  await writeFile(data, wordsText("tuned", 300));
});

test.each([0, 4])("examples/fine-tune.ts tunes a model with rank %i, and says what came of it", async (rank) => {
  const out = newPath();
  const args = [
    "--model",
    base,
    "--data",
    data,
    "--steps",
    "30",
    "--rank",
    String(rank),
    "--prompt",
    "the",
    "--out",
    out,
  ];
  const printed = await runExample("fine-tune", args, dirname(data));
  const [before, ...later] = numbersIn(printed, /step \d+: (\d\.\d+) nats per character/gu);
  expect(later.length).toBeGreaterThan(2);
  const [difference] = numbersIn(
    printed,
    /^difference, .*: (-?\d\.\d+)(?: ± \d\.\d+)? nats per character, over \d+ blocks$/gmu,
  );
  expect(difference).toBeCloseTo(Math.min(before ?? 0, ...later) - (before ?? 0), 3);
  if (rank === 0) return;
  expect(printed).toMatch(/merged into \S+-merged\n$/u);
  const lm = await loadPretrained(`${out}-merged`, { backend: "reference" });
  expect(lm.adapters).toEqual([]);
  await lm.close();
});
