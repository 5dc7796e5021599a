// Plants a fault in a scratch tree, builds the tree, and runs tests until a test fails. The fault counts as found if
// this test fails again with the fault, and passes without the fault.
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { builderOf } from "./build.mjs";
import { isFastTest, nearestTests, readTests } from "./nearest.mjs";
import { runToEnd } from "./process.mjs";
import { locate, planted, readSources } from "./sources.mjs";

/** Number of test files in round 1. These files include most tests that could find a fault, and take minutes. */
const nearestCount = 25;

/** Number of test files that are run first. Without this, vitest would begin with the longest files. */
const firstCount = 5;

/** A test file without output for this time hangs. */
const silenceMs = 180_000;

/**
 * @typedef {{ how: "failed" | "broken" | "hangs" | "crashed", file: string | undefined, name?: string, test: string }} Failure
 *   `name`: of the test, if one failed
 */

/**
 * Reads the events of a test run: the first failure, the files that have begun and not ended, and an error outside of
 * tests.
 */
const readEvents = (path) => {
  const events = existsSync(path) ? readFileSync(path, "utf8").trim().split("\n").filter(Boolean) : [];
  /** @type {Map<string, number>} */
  const running = new Map();
  /** @type {Failure | undefined} */
  let failure;
  let files = 0;
  let outside = "";
  for (const line of events) {
    const { event, file, state, name, error, broken } = JSON.parse(line);
    if (event === "begin") running.set(file, 0);
    if (event === "over") outside = error;
    if (event === "test") {
      running.set(file, (running.get(file) ?? 0) + 1);
      if (state === "failed") failure ??= { how: "failed", file, name, test: `${name}: ${error}` };
    }
    if (event === "end") {
      running.delete(file);
      files++;
      if (broken || state === "failed") failure ??= { how: "broken", file, test: error };
    }
  }
  return { running, failure, files, outside };
};

/** A pattern that selects a test in vitest. In such a pattern, names are joined by spaces. */
const patternOf = (name) => `^${name.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&").replaceAll(" > ", " (?:> )?")}$`;

/**
 * Runs test files until the first failure.
 * @param {string} tree
 * @param {readonly string[]} files
 * @param {string} [only] name of a test: other tests of the files are skipped
 * @returns {Promise<Failure | undefined>}
 */
const runTests = async (tree, files, only) => {
  const folder = mkdtempSync(join(tmpdir(), "foretoken-events-"));
  const events = join(folder, "events.jsonl");
  const args = [
    // All projects except the slow one.
    ...[join(tree, "node_modules/vitest/vitest.mjs"), "run", "--project", "test*", "--bail", "1"],
    ...["--reporter", join(import.meta.dirname, "reporter.mjs")],
    // The machine often does other work at the same time, so tests get more time.
    ...["--testTimeout", "240000", ...files],
    ...(only === undefined ? [] : ["--testNamePattern", patternOf(only)]),
  ];
  let kill = () => {};
  /** @type {Failure | undefined} */
  let hanging;
  let told = "";
  let since = Date.now();
  const watch = setInterval(() => {
    const { running } = readEvents(events);
    const now = JSON.stringify([...running]);
    if (now !== told) [told, since] = [now, Date.now()];
    if (Date.now() - since < silenceMs) return;
    hanging = { how: "hangs", file: [...running.keys()][0], test: `in ${[...running.keys()].join(" or ")}` };
    kill();
  }, 2000);
  try {
    const { code, output } = await runToEnd(process.execPath, args, {
      cwd: tree,
      env: { ...process.env, FORETOKEN_FAULT_EVENTS: events },
      onStart: (end) => (kill = end),
    });
    const { failure, running, files: ended, outside } = readEvents(events);
    if (failure !== undefined || hanging !== undefined) return failure ?? hanging;
    if (code === 0 && ended > 0) return undefined;
    if (ended === 0 && running.size === 0) throw new Error(`vitest ran no tests:\n${output}`);
    // An error outside of tests, or the end of a process.
    const words = outside || (output.trim().split("\n").at(-1) ?? "");
    return { how: "crashed", file: [...running.keys()][0], test: `vitest ended with ${code}: ${words}` };
  } finally {
    clearInterval(watch);
    rmSync(folder, { recursive: true, force: true });
  }
};

/** Build outputs that are saved before a fault is planted, because a copy is faster than another build. */
const outputs = ["dist", "build"];

/**
 * Builds the unchanged tree and saves the outputs.
 * @param {string} tree is changed and restored; nothing else may use it
 * @param {readonly import("./sources.mjs").Fault[]} faults that will be judged
 */
export const openTree = async (tree, faults) => {
  const builder = builderOf(
    tree,
    faults.some(({ file }) => file.startsWith("native/")),
  );
  const failed = await builder.all();
  if (failed !== undefined) throw new Error(`${tree}: the build fails without any fault\n${failed}`);
  const kept = mkdtempSync(join(tmpdir(), "foretoken-outputs-"));
  const copy = (from, to) => {
    for (const name of outputs) {
      rmSync(join(to, name), { recursive: true, force: true });
      cpSync(join(from, name), join(to, name), { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    }
  };
  copy(tree, kept);
  const sources = readSources(tree);
  const tests = readTests(tree);

  /**
   * @param {import("./sources.mjs").Fault} fault
   * @param {1 | 2} round 1: the nearest tests; 2: all other tests
   */
  const judge = async (fault, round) => {
    const began = performance.now();
    const { file, change } = locate(sources, fault);
    const text = sources.get(file) ?? "";
    const unsound = [];
    const result = (found) => ({
      ...{ id: fault.id, kind: fault.kind, file, round, ...found },
      ...(unsound.length > 0 ? { unsound } : {}),
      seconds: Math.round((performance.now() - began) / 1000),
    });
    const plant = () => {
      const changed = planted(text, change);
      writeFileSync(join(tree, file), changed);
      return round === 1 ? builder.nearest(file, text, changed) : builder.all();
    };
    const restore = () => {
      writeFileSync(join(tree, file), text);
      copy(kept, tree);
    };
    try {
      const nearest = nearestTests(file, sources, tests).slice(0, nearestCount);
      let files =
        round === 1 ? nearest : [...tests.keys()].filter((test) => isFastTest(test) && !nearest.includes(test));
      for (;;) {
        const refused = await plant();
        if (refused !== undefined)
          return result({ found: true, how: "does not build", test: refused.trim().split("\n")[0] });
        let failure;
        /** @type {string[]} */
        let ran = [];
        for (const part of [files.slice(0, firstCount), files.slice(firstCount)]) {
          if (failure !== undefined || part.length === 0) continue;
          ran = part;
          failure = await runTests(tree, part);
        }
        if (failure === undefined) return result({ found: false });
        const again = failure.file === undefined ? ran : [failure.file];
        /** Whether the test fails with the fault and passes without it. @param {string} [only] */
        const isConfirmed = async (only) => {
          const fails = await runTests(tree, again, only);
          if (fails === undefined) return false;
          restore();
          return (await runTests(tree, again, only)) === undefined;
        };
        const confirmed =
          (failure.name !== undefined && (await isConfirmed(failure.name))) ||
          // If a test runs alone, it may lack the effects of earlier tests.
          ((await plant()) === undefined && (await isConfirmed()));
        if (confirmed)
          return result({
            found: true,
            how: failure.how,
            test: `${failure.file ?? ran.join(" or ")}: ${failure.test}`,
          });
        // The test also fails without the fault, or fails by chance. So its failure does not show that the fault was
        // found.
        unsound.push(`${failure.file}: ${failure.test}`);
        if (failure.file === undefined) return result({ found: false });
        files = files.filter((test) => test !== failure.file);
      }
    } finally {
      restore();
    }
  };
  const close = () => {
    builder.close();
    rmSync(kept, { recursive: true, force: true });
  };
  return { judge, close };
};
