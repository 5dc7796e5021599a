import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const program = (name: string): string => fileURLToPath(new URL(`../../bench/${name}.mjs`, import.meta.url));

export interface BenchOutcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What --json wrote; undefined where it wrote nothing. */
  readonly json: unknown;
}

/** Runs a benchmark's program with --json. */
export const runBench = async (name: string, args: readonly string[]): Promise<BenchOutcome> => {
  const folder = await mkdtemp(join(tmpdir(), "foretoken-bench-test-"));
  const file = join(folder, "results.json");
  try {
    const outcome = await new Promise<Omit<BenchOutcome, "json">>((resolve, reject) => {
      const child = spawn(process.execPath, [program(name), ...args, "--json", file]);
      let stdout = "";
      let stderr = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        stdout += text;
      });
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        stderr += text;
      });
      child.on("error", reject).on("close", (status) => resolve({ status, stdout, stderr }));
    });
    const text = await readFile(file, "utf8").catch(() => undefined);
    return { ...outcome, json: text === undefined ? undefined : (JSON.parse(text) as unknown) };
  } finally {
    await rm(folder, { recursive: true });
  }
};
