// Tests cases of one class: `node child.mjs CLASS SEED FROM TO FOLDER`, forked by ../fuzz.mjs. Sends a message for each
// case.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { failure } from "../lib/judge.mjs";
import { randomOf } from "../lib/random.mjs";

const [name, seed, from, to, folder] = process.argv.slice(2);

const tell = (message) => new Promise((resolve) => process.send?.(message, undefined, {}, resolve));

// An uncaught error counts as a crash of the program.
const strays = [];
process.on("uncaughtException", (error) => strays.push(error));
process.on("unhandledRejection", (error) => strays.push(error));
// The network is unavailable.
globalThis.fetch = () => Promise.reject(new TypeError("fetch failed"));

/** Peak resident memory since `resetPeak`, in bytes; 0 if the system does not report it. */
const peak = () => {
  try {
    return 1024 * Number(/VmHWM:\s+(\d+) kB/u.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
};
const resetPeak = () => {
  try {
    // Writing 5 resets the peak value, see proc(5).
    writeFileSync("/proc/self/clear_refs", "5");
  } catch {
    // On systems other than Linux, memory is not checked.
  }
};

/** Runs `work` and measures how much the resident memory grows. */
const measured = async (work) => {
  resetPeak();
  const before = process.memoryUsage.rss();
  const result = await work();
  const most = peak();
  return { result, grown: most === 0 ? 0 : Math.max(0, most - before) };
};

const cases = join(folder, "cases");
try {
  const { create } = await import(`./${name}.mjs`);
  const place = join(folder, "place");
  mkdirSync(place);
  const { undamaged, run } = await create(place);
  const fresh = (/** @type {string} */ path) => {
    mkdirSync(path, { recursive: true });
    return path;
  };
  // The case runs twice, because the first time the process also allocates memory that it keeps.
  await undamaged(fresh(join(cases, "first")));
  const { grown: usual } = await measured(() => undamaged(fresh(join(cases, "second"))));
  for (let number = Number(from); number <= Number(to); number++) {
    const path = fresh(join(cases, String(number)));
    await tell({ type: "start", number });
    const random = randomOf(seed, name, number);
    const note = (/** @type {string} */ about) => tell({ type: "note", about });
    const { result, grown } = await measured(() =>
      run(random, path, note).catch((error) => ({
        what: "the fuzzer itself",
        failure: failure("the fuzzer threw", error?.stack ?? error),
      })),
    );
    // Unhandled rejections are reported after the microtasks.
    await new Promise((resolve) => setImmediate(resolve));
    const stray = strays.splice(0)[0];
    const lost = stray === undefined ? undefined : failure("an error that nobody catches", stray?.stack ?? stray);
    const { refused = false, bytes = 0, what = "" } = result;
    rmSync(path, { recursive: true, force: true });
    if (grown > 2 ** 27) globalThis.gc?.();
    await tell({
      type: "done",
      number,
      refused,
      what,
      failure: lost ?? result.failure,
      grown,
      allowance: usual + 2 * bytes,
    });
  }
} catch (error) {
  await tell({ type: "failed", detail: error?.stack ?? String(error) });
}
process.exit();
