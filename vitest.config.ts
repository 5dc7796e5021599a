import { defineConfig } from "vitest/config";

/** "test" runs with `npm test`; "slow" holds what takes minutes and runs with `npm run test:slow`. */
export default defineConfig({
  test: {
    // A test may use every core itself.
    maxWorkers: 2,
    // Loaded by Node itself, which takes less time; but for a module that a test replaces, and its importer.
    server: { deps: { external: [/\/dist\/(?!backend\/select\.node|pretrained\/load\.node)/] } },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A focused test left behind must not pass for the whole suite.
    allowOnly: false,
    projects: [
      { extends: true, test: { name: "test", include: ["test/**/*.test.ts"], exclude: ["test/**/*.slow.test.ts"] } },
      { extends: true, test: { name: "slow", include: ["test/**/*.slow.test.ts"], testTimeout: 600_000 } },
    ],
  },
});
