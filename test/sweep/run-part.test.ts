import { copyFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { takeLock } from "#foretoken/io/lock.node.js";
import { trainPart } from "#foretoken/sweep/run-part.node.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-part-test-"));
  await writeFile(join(folder, "text.txt"), "The cat sat on a mat.\nIt had a hat.\n".repeat(60));
});
afterAll(() => rm(folder, { recursive: true }));

it("names the process that trains the run, if it began the run just now", async () => {
  const text = join(folder, "text.txt");
  const fields = { steps: 2, batchSize: 2, evalInterval: 2, warmupSteps: 1, sampleTokens: 0 };
  const part = (name: string, onStart: () => void) => {
    const config = {
      model: { contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 8 },
      // The configuration is read after the part has looked for a description, and before its thread looks again.
      get train() {
        onStart();
        return fields;
      },
    };
    const plan = { path: join(folder, name), preset: undefined, teacher: undefined, teachers: [], steps: 2, until: 2 };
    const texts = { train: text, choose: text, heldOut: text, name: "text", notice: undefined };
    return trainPart({ ...plan, texts, config }, { backend: "reference", threads: 1 });
  };
  await part("first", () => {});
  const second = join(folder, "second");
  await mkdir(second);
  const lock = await takeLock(join(second, ".lock"), "second");
  const begin = () => copyFileSync(join(folder, "first", "run.json"), join(second, "run.json"));
  await expect(part("second", begin)).rejects.toThrow(
    /no other process may use the folder; got process \d+, this process; try waiting for it/u,
  );
  await lock.release();
});
