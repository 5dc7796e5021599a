import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { outcomeOf } from "../outcome-of.ts";

const program = fileURLToPath(new URL("../../bench/defaults.mjs", import.meta.url));

it("compares a text's default with a variation, and repeats no training that it has", async () => {
  const folder = await mkdtemp(join(tmpdir(), "foretoken-defaults-test-"));
  try {
    const [text, results] = [join(folder, "text.txt"), join(folder, "results.jsonl")];
    await writeFile(text, "the cat sat on the mat and the dog sat on the log. ".repeat(12));
    const args = ["--text", `cats=${text}`, "--seeds", "1", "--only", "default,steps*0.5", "--results", results];
    const run = () => outcomeOf(spawn(process.execPath, [program, ...args]));
    const first = await run();
    expect(first.status, first.stderr).toBe(0);
    expect(first.stdout).toMatch(/^cats default, seed 1: \d\.\d{3} held out/mu);
    expect(first.stdout).toMatch(/^The default is -?\d\.\d{3} above the best/mu);
    expect((await readFile(results, "utf8")).trim().split("\n")).toHaveLength(2);
    const again = await run();
    expect(again.stdout).not.toContain("seed 1: ");
    expect(again.stdout).toContain("The default is");
  } finally {
    await rm(folder, { recursive: true });
  }
});
