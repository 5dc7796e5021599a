/** 500 damaged or forged exports. For each export, `verify` prints one error line or figures that show the damage. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { verifyMutated } from "../support/mutated-exports.ts";
import { cli, tinyWith, workplace } from "./cli.ts";

vi.setConfig({ testTimeout: 600_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  const bpe = ["--tokenizer", "bpe", "--tokenizer.vocabSize", "300"];
  for (const [run, flags] of [
    ["chars", []],
    ["bytes", bpe],
  ] as const) {
    await cli(["train", ...tinyWith("--out", run, ...flags)], { cwd });
    await cli(["export", run, "--format", "gguf", "--out", `${run}.gguf`], { cwd });
    await cli(["export", run, "--format", "gguf", "--dtype", "q8_0", "--out", `${run}-q8_0.gguf`], { cwd });
    await cli(["export", run, "--format", "hf", "--out", `${run}-hf`], { cwd });
  }
});
afterAll(() => remove());

test("250 of a model of characters, 250 of one of bytes", async () => {
  for (const run of ["chars", "bytes"]) {
    const files = [`${run}.gguf`, `${run}-q8_0.gguf`];
    const outcomes = await verifyMutated(cwd, run, { files, folder: `${run}-hf` }, 250);
    console.log(`${run}: ${JSON.stringify(outcomes)}`);
    expect(outcomes.refused).toBeGreaterThan(100);
    expect(outcomes.different + outcomes.same).toBeGreaterThan(20);
  }
});
