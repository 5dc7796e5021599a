/** Processes that are measured in turn. Each process works on request, and waits while another process works. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/**
 * Starts a process that writes a line of JSON about itself and then answers each JSON line on its standard input with
 * one JSON line. The process may end before its first line, because the peer is not installed. Then this function
 * prints a line on standard error and resolves to undefined.
 * @param {string} name
 * @param {readonly string[]} command program and arguments.
 * @param {Record<string, string>} [env] added to the environment of this process.
 */
export const startContestant = async (name, [program, ...args], env = {}) => {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...env } });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let errors = "";
  child.stderr.on("data", (data) => {
    errors += data;
  });
  child.on("error", (error) => {
    errors += error.message;
  });
  child.stdin.on("error", () => {});
  const ended = new Promise((resolve) => child.on("close", resolve));
  const next = async () => {
    const line = await answers.next();
    if (!line.done) return JSON.parse(line.value);
    await ended;
    const lines = errors.trim().split("\n");
    // Python prints the error last. Node prints a stack and its version after the error.
    const said = lines.find((one) => /^(Error|\w*Error):/u.test(one)) ?? lines.at(-1);
    throw new Error(`${name} ended${said === "" ? "" : `: ${said}`}`);
  };
  let about;
  try {
    about = await next();
  } catch (error) {
    console.error(`left out: ${error.message}`);
    return undefined;
  }
  return {
    name,
    about,
    /** @param {object} work */
    ask(work) {
      child.stdin.write(`${JSON.stringify(work)}\n`);
      return next();
    },
    async end() {
      child.stdin.end();
      await ended;
    },
  };
};

/**
 * Waits a moment. After a peer's work, its OpenMP threads spin for some time, and would make the next process slower.
 */
export const settle = () => new Promise((resolve) => setTimeout(resolve, 300));
