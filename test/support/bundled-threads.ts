/**
 * Worker threads start from the bundle of the command, as in the command itself. From several hundred modules they start
 * with three times the work. The tests of threads, in test/worker/, use the modules, as a program with the library.
 */
import { beforeAll, expect } from "vitest";
import { workerEntries } from "#foretoken/worker/entries.node.js";

const dist = new URL("../../dist/", import.meta.url);
const names = ["model", "plan", "train"] as const;

const startFrom = (folder: string, ending: string): void => {
  for (const name of names)
    Object.assign(workerEntries, { [name]: new URL(`${folder}/${name}-entry${ending}.js`, dist) });
};

beforeAll(() => {
  const isOfThreads = /[/\\]test[/\\]worker[/\\]/u.test(expect.getState().testPath ?? "");
  // vitest.config.ts sets the variable, if the bundle is from the same build as the modules.
  if (process.env.FORETOKEN_TEST_BUNDLE === "1" && !isOfThreads) startFrom("command", "");
  else startFrom("worker", ".node");
});
