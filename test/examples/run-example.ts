import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Executes an example in `cwd`, as `npm run example` does, and returns its output. Throws if the example fails or
 * writes to standard error.
 */
export const runExample = async (name: string, args: readonly string[], cwd: string): Promise<string> => {
  const script = join(root, "scripts/example.mjs");
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [script, name, ...args], { cwd });
  if (stderr !== "") throw new Error(`${name} wrote to standard error: ${stderr}`);
  return stdout;
};

/** A file of examples/. */
export const readExample = (name: string, ending = "ts"): Promise<string> =>
  readFile(join(root, `examples/${name}.${ending}`), "utf8");

/** The numbers that `(…)` captures in each match of a pattern. */
export const numbersIn = (text: string, pattern: RegExp): readonly number[] =>
  [...text.matchAll(pattern)].map(([, number]) => Number(number));
