import { defineConfig } from "vitest/config";

/**
 * Folders whose tests change nothing outside of themselves: no variable of the environment, no working directory, no module.
 * Their files share processes, which start and load the library once: that halves their time.
 */
const pure = "autograd,core,generate,inside,lesson,models,ops,optim,parity,plot,tokenizer";
const pureTests = `test/{${pure}}/**/*.test.ts`;
const slowTests = "test/**/*.slow.test.ts";

/**
 * "test" and "test-pure" run with `npm test`; "slow" holds what takes minutes and runs with `npm run test:slow`. One file:
 * `npx vitest run test/data/rows.test.ts`.
 */
export default defineConfig({
  test: {
    // Two files at a time, each with one thread unless a test asks for more: threads that wait for each other spin.
    maxWorkers: 2,
    env: { FORETOKEN_THREADS: "1" },
    // Loaded by Node itself, which takes less time; but for a module that a test replaces, and its importer.
    server: { deps: { external: [/\/dist\/(?!backend\/select\.node|pretrained\/load\.node)/] } },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A focused test left behind must not pass for the whole suite.
    allowOnly: false,
    projects: [
      { extends: true, test: { name: "test", include: ["test/**/*.test.ts"], exclude: [slowTests, pureTests] } },
      { extends: true, test: { name: "test-pure", include: [pureTests], exclude: [slowTests], isolate: false } },
      { extends: true, test: { name: "slow", include: [slowTests], testTimeout: 600_000 } },
    ],
  },
});
