import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Outcome, outcomeOf } from "../outcome-of.ts";

const program = (name: string): string => fileURLToPath(new URL(`../../bench/${name}.mjs`, import.meta.url));

export interface BenchOutcome extends Outcome {
  /** The contents of --json; undefined if it wrote nothing. */
  readonly json: unknown;
}

/** Runs a benchmark's program with --json. */
export const runBench = async (name: string, args: readonly string[]): Promise<BenchOutcome> => {
  const folder = await mkdtemp(join(tmpdir(), "foretoken-bench-test-"));
  const file = join(folder, "results.json");
  try {
    const outcome = await outcomeOf(spawn(process.execPath, [program(name), ...args, "--json", file]));
    const text = await readFile(file, "utf8").catch(() => undefined);
    return { ...outcome, json: text === undefined ? undefined : (JSON.parse(text) as unknown) };
  } finally {
    await rm(folder, { recursive: true });
  }
};
