// Executes a program to its end, with the processes that it starts. If a test hangs, its workers are also ended.
import { spawn } from "node:child_process";

/** @type {Set<() => void>} */
const running = new Set();
let stopped = false;

/** Ends the active program. Then `runToEnd` rejects, so that its callers can restore their changes. */
export const stopAll = () => {
  stopped = true;
  for (const kill of running) kill();
};

/**
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd: string, env?: NodeJS.ProcessEnv, onLine?: (line: string) => void, onStart?: (kill: () => void) => void
 * }} options
 * @returns {Promise<{ code: number | null, output: string }>} `output`: the end of the program's standard output and
 * standard error
 */
export const runToEnd = (program, args, { cwd, env = process.env, onLine = () => {}, onStart = () => {} }) =>
  new Promise((resolve, reject) => {
    if (stopped) throw new Error("stopped");
    // The program has its own process group, so that it can be ended with its children.
    const child = spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
    const kill = () => {
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // The process has already ended.
      }
    };
    running.add(kill);
    onStart(kill);
    let output = "";
    let unfinished = "";
    const take = (chunk) => {
      output = (output + chunk).slice(-20_000);
      const lines = (unfinished + chunk).split("\n");
      unfinished = lines.pop();
      lines.forEach(onLine);
    };
    child.stdout.setEncoding("utf8").on("data", take);
    child.stderr.setEncoding("utf8").on("data", take);
    child.on("error", reject);
    child.on("close", (code) => {
      running.delete(kill);
      if (stopped) reject(new Error("stopped"));
      else resolve({ code, output });
    });
  });
