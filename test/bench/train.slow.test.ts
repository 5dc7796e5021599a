import { expect, it } from "vitest";
import { z } from "zod";
import { describeBackends } from "#foretoken/backend/select.node.js";
import { testRefusals } from "./refusal.ts";
import { runBench } from "./run-bench.ts";

const { backends } = await describeBackends();
const isHere = (name: string): boolean => backends.some((one) => one.name === name && one.available);

const levelSchema = z.object({
  bytes: z.number().positive(),
  read: z.number().positive(),
  write: z.number().positive(),
  copy: z.number().positive(),
});

/** The part that bench/report.mjs reads. */
const resultsSchema = z.object({
  machine: z.object({ cpu: z.string(), node: z.string() }),
  roofs: z
    .object({ float32: z.number().positive(), amxBf16: z.number(), levels: z.array(levelSchema).min(5) })
    .optional(),
  measurements: z.array(
    z.object({
      name: z.string(),
      rounds: z.number().min(3),
      cost: z.object({ flops: z.number(), bytes: z.number().positive() }),
      results: z.array(
        z.object({
          name: z.string(),
          kind: z.string(),
          dtype: z.string(),
          milliseconds: z.number().positive(),
          times: z.array(z.number().positive()).min(3),
          peakMemory: z.number().positive(),
          firstLoss: z.number(),
          about: z.object({ parameters: z.number() }),
        }),
      ),
    }),
  ),
});

it("times steps of every backend and dtype that is here, and leaves out with a reason what is not", async () => {
  const args = ["--config", "tiny", "--seconds", "0.1", "--threads", "1", "--dropout", "0.1", "--roof-memory", "1"];
  const python = "no-such-program";
  const { status, stdout, stderr, json } = await runBench("train", [...args, "--python", python]);
  expect(status, stderr).toBe(0);
  const { measurements, roofs } = resultsSchema.parse(json);
  const [measurement] = measurements;
  expect(measurement).toMatchObject({ name: "tiny" });
  const ours = measurement?.results.filter(({ kind }) => ["native", "wasm", "reference"].includes(kind)) ?? [];
  const native = ["float32", "bfloat16"].flatMap((dtype) => [
    `foretoken native ${dtype}`,
    `foretoken native ${dtype} dropout 0.1`,
  ]);
  expect(ours.map(({ name }) => name)).toEqual([
    ...(isHere("native") ? native : []),
    ...(isHere("wasm") ? ["foretoken wasm float32", "foretoken wasm bfloat16"] : []),
    "foretoken reference float32",
  ]);
  // The weights are one layer (12 C², biases and two norms), the positions, the final norm, and the embedding. The
  // output head shares the embedding.
  for (const { about } of ours) expect(about.parameters).toBe(12 * 16 * 16 + 13 * 16 + 8 * 16 + 2 * 16 + 40 * 16);
  for (const { firstLoss } of ours) expect(Math.abs(firstLoss - Math.log(40))).toBeLessThan(0.3);
  const compiled = isHere("native") && !stderr.includes("no roofs: no C++ compiler found");
  expect(roofs !== undefined).toBe(compiled);
  for (const { name } of ours) expect(stdout).toMatch(new RegExp(`^${name} +[\\d.]+ +[\\d.]+–[\\d.]+ `, "mu"));
  expect(stderr).toMatch(/^left out: pytorch float32 sdpa ended: /mu);
});

testRefusals("train", [
  [["--config", "large"], /--config: must be one or more of .*tiny; got large/],
  [["--only", "jax"], /--only: must be one or more of native, wasm, reference, pytorch, tfjs; got jax/],
  [["--seconds", "soon"], /--seconds: must be above 0; got soon/],
  [["--dropout", "1"], /--dropout: must be at least 0 and below 1; got 1/],
]);
