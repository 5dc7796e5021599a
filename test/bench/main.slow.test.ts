import { expect, it } from "vitest";
import { z } from "zod";
import { describeBackends } from "#foretoken/backend/select.node.js";
import { runBench } from "./run-bench.ts";

const { backends } = await describeBackends();
const isHere = (name: string): boolean => backends.some((one) => one.name === name && one.available);

it("measures what it is asked for and keeps it in a file", async () => {
  const args = ["--part", "train", "--config", "tiny", "--only", "wasm", "--seconds", "0.1", "--threads", "1"];
  const { status, stdout, stderr, json } = await runBench("main", args);
  if (!isHere("wasm")) {
    expect(status).not.toBe(0);
    return;
  }
  expect(status, stderr).toBe(0);
  expect(json).toMatchObject({
    machine: { cores: expect.any(Number) },
    train: { measurements: [{ name: "tiny", threads: 1, results: [{ name: "foretoken wasm float32" }, {}] }] },
  });
  expect(stdout).toMatch(/^foretoken wasm float32 /mu);
  expect(stdout).toContain("node bench/report.mjs");
});

it("times writing", async () => {
  const backend = backends.find(({ available }) => available)?.name ?? "reference";
  const args = ["--config", "nano-cpu", "--dtype", "float32", "--backend", backend, "--rounds", "1", "--threads", "1"];
  const { status, stdout, stderr, json } = await runBench("generate", args);
  expect(status, stderr).toBe(0);
  const positive = z.number().positive();
  const { measurements } = z
    .object({
      start: z.object({ help: positive, firstToken: positive }),
      measurements: z.array(
        z.object({
          name: z.literal("nano-cpu"),
          tokens: z.literal(63),
          promptTokens: z.literal(32),
          promptMilliseconds: positive,
          firstTokenMilliseconds: positive,
          // The value is 0 if the whole text arrived at once. Such a result may happen while other tests run.
          commandTokensPerSecond: z.number().nonnegative(),
          tokensPerSecond: positive,
        }),
      ),
    })
    .parse(json);
  expect(measurements).toHaveLength(1);
  expect(stdout).toMatch(/^nano-cpu float32 +(?:[\d,]+|–) +[\d,]+ /mu);
});

it.each([
  ["main", ["--part", "tests"], /--part: must be one or more of train, kernels, generate; got tests/],
  [
    "main",
    ["--part", "generate", "--config", "gpt2"],
    /--config: must name a configuration that --part generate measures; got gpt2/,
  ],
  ["generate", ["--config", "gpt2"], /--config: must be one or more of nano-cpu, book, baby; got gpt2/],
  ["generate", ["--backend", "native,wasm"], /--backend: must be one backend; got native,wasm/],
])("%s refuses %j in a line", async (program, args, says) => {
  const { status, stderr } = await runBench(program, args);
  expect(status).toBe(2);
  expect(stderr.trim()).toMatch(says);
  expect(stderr.trim().split("\n")).toHaveLength(1);
});
