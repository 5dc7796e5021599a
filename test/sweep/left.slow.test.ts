import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type SweepResult, sweep } from "#foretoken/index.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-sweep-test-"));
  await writeFile(join(folder, "text.txt"), "The cat sat on a mat.\nIt had a hat.\n".repeat(60));
});
afterAll(() => rm(folder, { recursive: true }));

const swept = (out: string) =>
  sweep(
    {
      data: join(folder, "text.txt"),
      model: { contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 8 },
      train: { steps: 40, batchSize: 2, evalInterval: 4, checkpointInterval: 4, warmupSteps: 1 },
      vary: { "train.learningRate": [0.002, 0.02] },
      seeds: 2,
    },
    { out: join(folder, out), backend: "reference", threads: 1, jobs: 2 },
  );

const resultOf = async (out: string): Promise<SweepResult | undefined> => {
  for await (const event of swept(out)) if (event.type === "done") return event.result;
  return undefined;
};

it("saves its runs when the loop over its events is left, and is resumed to the same result", async () => {
  for (const type of ["phase", "run", "run"]) for await (const event of swept("left")) if (event.type === type) break;
  // A run that still trained would be refused as in use.
  expect(await resultOf("left")).toEqual(await resultOf("whole"));
});
