/** Executes the real program, and other scripts, as processes. */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const program = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));

/** After this time, a process counts as hung and is killed. */
const longestMs = 120_000;

/**
 * @typedef {object} Started
 * @property {string} cwd
 * @property {string} [script] default: the program
 * @property {string} [preload] a module that is loaded first
 * @property {Record<string, string>} [env]
 * @property {string} [stdout] a file that standard output goes to
 * @property {string} [input]
 * @property {(child: import("node:child_process").ChildProcess) => void} [onStart]
 */

/**
 * Runs `node SCRIPT ARGS` to its end.
 * @param {readonly string[]} args
 * @param {Started} how
 * @returns {Promise<{ status: number | null, signal: string | null, stdout: string, stderr: string }>}
 */
export const start = (args, { cwd, script = program, preload, env = {}, stdout, input, onStart }) =>
  new Promise((resolve, reject) => {
    const output = stdout === undefined ? "pipe" : openSync(stdout, "w");
    const loaded = preload === undefined ? [] : ["--import", preload];
    // Some signals would write a core dump.
    const words = ["-c", 'ulimit -c 0; exec "$0" "$@"', process.execPath, ...loaded, script, ...args];
    const child = spawn("sh", words, {
      cwd,
      env: { ...process.env, LC_ALL: "C.UTF-8", ...env },
      stdio: [input === undefined ? "ignore" : "pipe", output, "pipe"],
    });
    if (typeof output === "number") closeSync(output);
    const text = { stdout: "", stderr: "" };
    for (const name of /** @type {const} */ (["stdout", "stderr"]))
      child[name]?.setEncoding("utf8").on("data", (piece) => {
        text[name] += piece;
      });
    child.stdin?.on("error", () => {}).end(input);
    const watch = setTimeout(() => child.kill("SIGKILL"), longestMs);
    child.on("error", reject).on("close", (status, signal) => {
      clearTimeout(watch);
      resolve({ status, signal, ...text });
    });
    onStart?.(child);
  });

/** Calls `work` for each item. At most `atOnce` calls are active at the same time. */
export const each = async (items, atOnce, work) => {
  const left = items[Symbol.iterator]();
  const worker = async () => {
    for (let next = left.next(); !next.done; next = left.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
};
