import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { outcomeOf } from "../outcome-of.ts";

const program = fileURLToPath(new URL("../../bench/calibration.mjs", import.meta.url));
const stopping = fileURLToPath(new URL("../../bench/stopping-rules.mjs", import.meta.url));

it("counts how often settings are called different, with runs that it trains and keeps", async () => {
  const folder = await mkdtemp(join(tmpdir(), "foretoken-calibration-test-"));
  try {
    const [text, results] = [join(folder, "text.txt"), join(folder, "runs.jsonl")];
    await writeFile(text, "the cat sat on the mat and the dog sat on the log. ".repeat(120));
    const args = ["--text", text, "--results", results, "--steps", "2", "--rates", "0.001,0.05", "--draws", "10"];
    const run = (...more: readonly string[]) => outcomeOf(spawn(process.execPath, [program, ...args, ...more]));
    const first = await run("--runs", "2", "--seeds", "1");
    expect(first.status, first.stderr).toBe(0);
    expect(first.stdout).toMatch(/^4 of 4 runs: second, seed 2, in/mu);
    expect(first.stdout).toMatch(/^4 runs; nats per token \d\.\d{4} and \d\.\d{4}, between seeds ± \d\.\d{4} and/mu);
    const more = await run("--runs", "4", "--seeds", "2,3");
    expect(more.status, more.stderr).toBe(0);
    expect(more.stdout).not.toMatch(/seed [12], in/u);
    expect(more.stdout).toMatch(/^2 +\d+\.0% +\d+\.0% +\d+\.0% +\d+\.0%$/mu);
    // A row for groups of three runs needs six runs of the same setting.
    expect(more.stdout).not.toMatch(/^3 /mu);
    expect((await readFile(results, "utf8")).trim().split("\n")).toHaveLength(8);
    const again = await run("--runs", "4", "--seeds", "2,3", "--no-training");
    expect(again.stdout.trim()).toBe(more.stdout.slice(more.stdout.indexOf("\n8 runs")).trim());
    const few = await run("--runs", "4", "--seeds", "3", "--no-training");
    expect(few.stderr).toContain("--runs: must be enough for two groups of 3 runs; got 4 runs of a setting");
  } finally {
    await rm(folder, { recursive: true });
  }
});

it("the rules of sweeps, on the trainings behind the defaults: the race never loses the winner", async () => {
  const { status, stdout, stderr } = await outcomeOf(spawn(process.execPath, [stopping]));
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(/^race: [\s\S]*?^all +20% +0 of 48/mu);
  expect(stdout).toMatch(/^halving: [\s\S]*?^all +42% +24 of 48/mu);
});
