import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { randomKey, randomStream } from "#foretoken/core/random.js";
import { outcomeOf } from "../outcome-of.ts";

const program = fileURLToPath(new URL("../../bench/intervals.mjs", import.meta.url));

it("counts the intervals that contain the whole text's difference, from losses that it has", async () => {
  const folder = await mkdtemp(join(tmpdir(), "foretoken-intervals-test-"));
  try {
    const { normal } = randomStream(randomKey(1, "sampling"));
    const losses = (mean: number) => Array.from({ length: 500 }, () => ({ nats: mean + normal(), tokens: 10 }));
    await writeFile(join(folder, "noise-char.json"), JSON.stringify({ one: losses(20), other: losses(22) }));
    const args = ["--text", "noise=none.txt", "--folder", folder, "--lengths", "7,16", "--stretches", "20"];
    const { status, stdout, stderr } = await outcomeOf(spawn(process.execPath, [program, ...args]));
    expect(status, stderr).toBe(0);
    // Seven windows are too few for an interval.
    expect(stdout).toMatch(/^7 +0 +– .* – +\d\.\d{4}$/mu);
    expect(stdout).toMatch(/^16 +20 +(?:9\d|100)\.\d% +\d+\.\d% +\d+\.\d% +\d\.\d{4} +\d\.\d{4}$/mu);
  } finally {
    await rm(folder, { recursive: true });
  }
}, 60_000);
