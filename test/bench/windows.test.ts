import { expect, it } from "vitest";
import { z } from "zod";
import { testRefusals } from "./refusal.ts";
import { runBench } from "./run-bench.ts";

const resultsSchema = z.object({
  measurements: z.array(
    z.object({
      dtype: z.string(),
      kernel: z.string(),
      milliseconds: z.object({ all: z.number().positive(), window: z.number().positive() }),
      products: z.number(),
    }),
  ),
});

it("times attention with a window, forward and backward", async () => {
  const sizes = ["--context", "64", "--window", "8", "--heads", "2", "--key-heads", "1", "--head-dim", "16"];
  const quick = ["--backend", "wasm", "--dtype", "float32", "--rounds", "1", "--threads", "1"];
  const { status, stdout, stderr, json } = await runBench("windows", [...sizes, ...quick]);
  expect(status, stderr).toBe(0);
  const { measurements } = resultsSchema.parse(json);
  expect(measurements.map(({ dtype, kernel }) => `${kernel} ${dtype}`)).toEqual([
    "attentionForward float32",
    "attentionBackward float32",
  ]);
  // With a window, the first 8 positions see 1 to 8 positions, and every later position sees 8 positions. Without a
  // window, the positions see 1 to 64 positions.
  for (const { products } of measurements) expect(products).toBe((36 + 56 * 8) / (32 * 65));
  expect(stdout).toMatch(/64 positions, window 8/u);
});

testRefusals("windows", [
  [["--window", "0"], /--window: must be a whole number above 0; got 0/],
  [["--key-heads", "3"], /--key-heads: must divide --heads; got 3 and 8/],
  [["--backend", "reference"], /--backend: must be one or more of native, wasm; got reference/],
]);
