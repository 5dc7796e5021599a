import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { outcomeOf } from "../outcome-of.ts";

const program = fileURLToPath(new URL("../../bench/defaults.mjs", import.meta.url));

it("compares a text's default with a variation by a sweep, and makes tables of all trainings", async () => {
  const folder = await mkdtemp(join(tmpdir(), "foretoken-defaults-test-"));
  try {
    const [text, results, document] = ["text.txt", "results.jsonl", "page.md"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    await writeFile(text, "the cat sat on the mat and the dog sat on the log. ".repeat(12));
    const args = ["--text", `cats=${text}`, "--only", "default,steps*0.5", "--results", results];
    const run = (...more: readonly string[]) => outcomeOf(spawn(process.execPath, [program, ...args, ...more]));
    const out = ["--out", join(folder, "sweeps")];
    const first = await run("--seeds", "1", ...out);
    expect(first.status, first.stderr).toBe(0);
    expect(first.stdout).toMatch(/^cats default, seed 1: \d\.\d{3} on the part for choosing, at step \d+$/mu);
    expect(first.stdout).toMatch(/^\d {2}(?:default|steps\*0\.5) +\d+ +\d\.\d{4} {2}best$/mu);
    expect(first.stdout).toMatch(/^The default is -?\d\.\d{3} above the best/mu);
    const linesOf = async () =>
      (await readFile(results, "utf8"))
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
    const lines = await linesOf();
    expect(lines.map(({ variation, seed }) => `${variation} ${seed}`)).toEqual(["default 1", "steps*0.5 1"]);
    const [{ chosen, curve, parameters, vocabSize, seconds }] = lines;
    expect(Math.min(...curve.map(({ choose }: { choose: number }) => choose))).toBe(chosen.choose);
    for (const value of [chosen.heldOut, chosen.bitsPerByte, parameters, vocabSize, seconds])
      expect(value).toBeGreaterThan(0);
    // The same command trains nothing again.
    const again = await run("--seeds", "1", ...out);
    expect(again.stdout).not.toContain("seed 1: ");
    expect(await linesOf()).toEqual(lines);
    const marks = ["default-texts", "default-settings"].map(
      (name) => `<!-- bench:${name} -->\nold\n<!-- /bench:${name} -->`,
    );
    await writeFile(document, `${marks.join("\nbetween\n")}\nafter\n`);
    const shown = await run("--seeds", "1,2", "--into", document, "--no-training");
    expect(shown.status, shown.stderr).toBe(0);
    const page = await readFile(document, "utf8");
    // A mean over fewer seeds is in brackets.
    expect(page).toMatch(/^\| `cats` \| 2 × 64, \d+ steps, [\d.]+ passes \| \(\d\.\d{3}\) \|/mu);
    expect(page).toMatch(/^\| half of the steps \| \(\d\.\d{3}\) \|$/mu);
    expect(page).toMatch(/^\| twice the batch \| – \|$/mu);
    expect(page).toMatch(/\nbetween\n.*\nafter\n$/su);
    expect(page).not.toContain("old");
  } finally {
    await rm(folder, { recursive: true });
  }
});
