import { expect, it } from "vitest";
import { z } from "zod";
import { testRefusals } from "./refusal.ts";
import { runBench } from "./run-bench.ts";

interface ResidentMemory {
  floorRise(samples: readonly number[]): number;
}

// The import uses a URL, because the benchmarks have no types.
const { floorRise } = (await import(
  new URL("../../bench/lib/resident-memory.mjs", import.meta.url).href
)) as ResidentMemory;

/** Memory grows for 13 samples. Then the garbage is collected. */
const sawtooth = Array.from({ length: 200 }, (_, i) => 100 + (i % 13));

it("finds what is never freed under garbage that is", () => {
  expect(floorRise(sawtooth)).toBe(0);
  expect(floorRise(sawtooth.map((sample, i) => sample + i / 10))).toBeGreaterThan(13);
  expect(floorRise(sawtooth.map((sample, i) => (i === 120 ? sample + 50 : sample)))).toBe(0);
});

it("watches a run's memory", async () => {
  const args = ["--part", "memory", "--config", "tiny", "--steps", "200", "--threads", "1"];
  const { status, stdout, stderr, json } = await runBench("soak/main", args);
  // Memory may still grow in such a short run, so the test accepts both verdicts.
  expect([0, 1], stderr).toContain(status);
  const bytes = z.number().min(2 ** 20);
  const {
    memory: { taken, rises },
  } = z
    .object({
      memory: z.object({
        rises: z.object({ outside: z.number(), used: z.number() }),
        taken: z.array(z.object({ step: z.int(), resident: bytes, outside: bytes, used: bytes })),
      }),
    })
    .parse(json);
  expect(taken.map(({ step }) => step)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
  expect(status).toBe(Math.max(rises.outside, rises.used) > 2 ** 20 ? 1 : 0);
  expect(stdout).toMatch(/^memory (grew|did not grow): .* rose by -?[\d.]+ MiB outside the engine's heap/mu);
});

testRefusals("soak/main", [
  [["--config", "book,baby"], /--config: must be one configuration of .*; got book,baby/],
  [["--steps", "10"], /--steps: must be at least 200; got 10/],
  [
    ["--part", "fuzz,sleep"],
    /--part: must be one or more of memory, fuzz, kill, faults, engine, prompts, server; got sleep/,
  ],
  [["--cases", "many"], /--cases: must be a whole number above 0; got many/],
  [["--dtype", "int8"], /--dtype: must be one or more of auto, float32, bfloat16; got int8/],
]);
