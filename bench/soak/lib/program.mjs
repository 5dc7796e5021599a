/**
 * Executes the program in this process, and captures its output. This is faster than a new process for each command
 * line.
 */
import { runProgram } from "../../../dist/cli/program.js";

class Exit extends Error {
  constructor(status) {
    super(`process.exit(${status})`);
    this.status = status;
  }
}

/** Maximum length of the captured output. */
const mostKept = 2_000_000;

/**
 * Runs `foretoken ARGS` in the folder `cwd`.
 * @param {readonly string[]} args
 * @param {string} cwd
 * @returns {Promise<{ status: number, stdout: string, stderr: string, thrown?: unknown }>}
 */
export const runInProcess = async (args, cwd) => {
  const written = { stdout: "", stderr: "" };
  const before = process.cwd();
  const { exit, argv } = process;
  const listeners = process
    .eventNames()
    .map((name) => /** @type {const} */ ([name, process.listeners(/** @type {"exit"} */ (name))]));
  const restore = ["stdout", "stderr"].map((name) => {
    const { write } = process[name];
    process[name].write = (chunk, encoding, callback) => {
      if (written[name].length < mostKept) written[name] += Buffer.from(chunk).toString();
      const done = typeof encoding === "function" ? encoding : callback;
      if (typeof done === "function") process.nextTick(done);
      return true;
    };
    return () => {
      process[name].write = write;
    };
  });
  process.exit = /** @type {typeof process.exit} */ (
    (status) => {
      throw new Exit(status);
    }
  );
  process.exitCode = undefined;
  // The parts of the global object `process` that a command line changes.
  process.argv = [argv[0], "foretoken", ...args];
  let status = -1;
  let thrown;
  try {
    process.chdir(cwd);
    status = await runProgram(args);
  } catch (error) {
    if (error instanceof Exit) status = Number(error.status ?? 0);
    else thrown = error;
  } finally {
    for (const back of restore) back();
    process.exit = exit;
    process.argv = argv;
    process.exitCode = undefined;
    process.chdir(before);
    // A listener that the program does not remove would be called in the next case.
    for (const name of process.eventNames()) {
      const kept = listeners.find(([one]) => one === name)?.[1] ?? [];
      for (const listener of process.listeners(/** @type {"exit"} */ (name)))
        if (!kept.includes(listener)) process.off(name, listener);
    }
  }
  return { status, ...written, ...(thrown === undefined ? {} : { thrown }) };
};
