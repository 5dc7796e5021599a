import { expect, it } from "vitest";
import { z } from "zod";
import { kernelNames } from "#foretoken/backend/kernels/kernels.js";
import { describeBackends } from "#foretoken/backend/select.node.js";
import { testRefusals } from "./refusal.ts";
import { runBench } from "./run-bench.ts";

const { backends } = await describeBackends();

/** The part that bench/report.mjs reads. */
const resultsSchema = z.object({
  machine: z.object({ cpu: z.string() }),
  measurements: z.array(
    z.object({
      name: z.string(),
      dtype: z.string(),
      backend: z.string(),
      results: z.array(
        z.object({
          kernel: z.enum(kernelNames as readonly [string, ...string[]]),
          count: z.int().positive(),
          flops: z.number(),
          read: z.number(),
          written: z.number(),
          milliseconds: z.number().positive(),
          leastMilliseconds: z.number().positive().optional(),
          peers: z.record(z.string(), z.number()),
        }),
      ),
    }),
  ),
});

/**
 * In all models of the benchmarks, the first three kernels are fused into products. Only ops, adapters and other graphs
 * call these kernels separately. The last kernel copies pages of an engine, and parts of weights.
 */
const unfused: readonly string[] = ["geluForward", "geluBackward", "dropout", "copyRows"];
/** Kernels for hidden layers that no benchmark model has. */
const ofOthers: readonly string[] = ["gegluForward", "gegluBackward", "relu2Forward", "relu2Backward"];
/** Kernels for quantized weights, which come from a file. */
const ofBlocks: readonly string[] = kernelNames.filter((name) => name.startsWith("blocks"));

it("covers every kernel that a model calls", async () => {
  const { status, stdout, stderr } = await runBench("kernels", ["--list"]);
  expect(status, stderr).toBe(0);
  expect(stdout.trimEnd().split("\n")).toEqual(
    kernelNames.filter((name) => ![...unfused, ...ofOthers, ...ofBlocks].includes(name)).sort(),
  );
});

it.each(["native", "wasm", "reference"])("times each call of a step on %s", async (backend) => {
  const found = backends.find(({ name }) => name === backend);
  const quick = [
    "--config",
    "tiny",
    "--rounds",
    "1",
    "--milliseconds",
    "0.1",
    "--threads",
    "1",
    "--no-peers",
    "--roof-memory",
    "1",
  ];
  const { status, stdout, stderr, json } = await runBench("kernels", [...quick, "--backend", backend]);
  if (found?.available !== true) {
    expect(stderr).toContain(found?.reason);
    return;
  }
  expect(status, stderr).toBe(0);
  const { measurements } = resultsSchema.parse(json);
  expect(measurements.map(({ name, dtype }) => `${name} ${dtype}`)).toEqual(["tiny float32", "tiny bfloat16"]);
  for (const { results } of measurements) {
    // A layer has four products, and the output head is one more product. Each product is computed in the forward pass,
    // and twice in the backward pass: for its input and for its weights.
    const flops = results.reduce((sum, one) => sum + (one.kernel.startsWith("linear") ? one.count * one.flops : 0), 0);
    expect(flops).toBe(6 * (12 * 16 * 16 + 40 * 16) * 16);
    for (const { kernel } of results) expect(stdout).toMatch(new RegExp(`^${kernel} `, "mu"));
  }
});

testRefusals("kernels", [
  [["--config", "large"], /--config: must be one or more of .*decode; got large/],
  [["--dtype", "int8"], /--dtype: must be one or more of float32, bfloat16; got int8/],
  [["--rounds", "0"], /--rounds: must be a whole number above 0; got 0/],
]);
