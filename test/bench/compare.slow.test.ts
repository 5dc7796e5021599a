import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { z } from "zod";
import { runBench } from "./run-bench.ts";

// The import uses a URL, because the benchmarks have no types.
const statistics = new URL("../../bench/lib/statistics.mjs", import.meta.url).href;
const { medianInterval } = (await import(statistics)) as {
  medianInterval(numbers: readonly number[]): readonly [number, number];
};

// Ranks of the order statistics, as in tables of the sign test.
it.each([
  [5, [1, 5]],
  [6, [1, 6]],
  [9, [2, 8]],
  [12, [3, 10]],
  [20, [6, 15]],
  [25, [8, 18]],
])("the interval of the median of %i numbers is between these by rank", (count, ranks) => {
  const numbers = Array.from({ length: count }, (_, i) => ((7 * i) % count) + 1);
  expect(medianInterval(numbers)).toEqual(ranks);
});

const root = fileURLToPath(new URL("../..", import.meta.url));
const resultsSchema = z.object({
  results: z.array(
    z.object({
      name: z.literal("tiny"),
      backend: z.literal("reference"),
      ratios: z.array(z.number().positive()).length(6),
      interval: z.tuple([z.number(), z.number()]),
    }),
  ),
});

it("compares a checkout with another, here with itself", async () => {
  const args = ["--with", root, "--config", "tiny", "--only", "reference", "--dtype", "float32"];
  const { stdout, json } = await runBench("compare", [...args, "--rounds", "6", "--seconds", "0.01", "--limit", "100"]);
  expect(stdout).toMatch(/tiny reference \(javascript\) float32: .* ms a step; ratio/u);
  const { results } = resultsSchema.parse(json);
  expect(results).toHaveLength(1);
});

it("says in one line what it lacks", async () => {
  expect(await runBench("compare", [])).toMatchObject({
    status: 2,
    stderr: "--with: must name another checkout that is built\n",
  });
});
