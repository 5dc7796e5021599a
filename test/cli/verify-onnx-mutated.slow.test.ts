/** 200 damaged ONNX graphs. For each graph, `verify` prints one error line or figures. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { verifyMutatedOnnx } from "../support/mutated-exports.ts";
import { cli, tinyWith, workplace } from "./cli.ts";

vi.setConfig({ testTimeout: 600_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  await cli(["train", ...tinyWith("--out", "chars")], { cwd });
  for (const dtype of ["f32", "int8"]) {
    await cli(["export", "chars", "--format", "onnx", "--dtype", dtype, "--out", dtype], { cwd });
  }
});
afterAll(() => remove());

test("200 of a model of characters, with one graph each", async () => {
  const outcomes = await verifyMutatedOnnx(cwd, "chars", ["f32", "int8"], 200);
  console.log(JSON.stringify(outcomes));
  expect(outcomes.refused).toBeGreaterThan(60);
  expect(outcomes.different).toBeGreaterThan(20);
});
