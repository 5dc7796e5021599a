import { existsSync, statfsSync } from "node:fs";
import { arch, platform } from "node:os";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** A folder in memory, where the system has one with room for the tests' files. */
const folderInMemory = (): string | undefined => {
  const folder = "/dev/shm";
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize >= 2 ** 31 ? folder : undefined;
  } catch {
    return undefined;
  }
};
const inMemory = folderInMemory();

const addon = `dist/backend/implementations/native/foretoken.${platform()}-${arch()}.node`;
const isBuilt = existsSync(new URL(addon, import.meta.url));

/** Files that replace a module or stand in for a browser as they load: each has a process of its own. */
const alone = ["backend/implementations/worker-browser", "pretrained/load", "web/playground-writing"];
const aloneTests = alone.map((name) => `test/${name}.test.ts`);
const slowTests = "test/**/*.slow.test.ts";

/** The slow files that take more than 20 seconds, longest first. */
const longest = [
  ...["bench/soak", "train/ranks/faults", "package/tarball", "web/views", "train/ranks/kinds", "web/inside"],
  ...["train/run/book", "package/native", "train/ranks/mpi", "train/ranks/hangs", "train/prepare/memory"],
  ...["package/runtimes"],
  ...["web/chat", "web/lesson-race", "lesson/mask", "train/ranks/evaluation", "train/ranks/nonfinite", "package/docs"],
];

/**
 * The longest of the other files, by far. A clone has no times of an earlier run: there vitest goes by the sizes of the files, and
 * this is a short one.
 */
const longestOfOthers = "/test/conformance/kernels.test.ts";

/** The place of a slow file in the order; all others come before it. */
const placeOf = ({ moduleId }: TestSpecification): number => {
  if (moduleId.endsWith(longestOfOthers)) return -2;
  const [, name = ""] = /\/test\/(.*)\.slow\.test\.ts$/u.exec(moduleId) ?? [];
  if (name === "") return -1;
  return longest.includes(name) ? longest.indexOf(name) : longest.length;
};

/** Begins with the longest files: one that began last would leave all cores but its own without work. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // The sort is stable: files without a place stay as vitest has them.
    return (await super.sort(files)).sort((a, b) => placeOf(a) - placeOf(b));
  }
}

/**
 * "test" and "test-alone" run with `npm test`; "slow" holds what takes minutes and runs with `npm run test:slow`. One file:
 * `npx vitest run test/data/rows.test.ts`.
 */
export default defineConfig({
  test: {
    // Two files at a time, each with one thread unless a test asks for more: threads that wait for each other spin.
    maxWorkers: 2,
    // Where no native kernels are built, tests have chosen to do without: programs and commands give no advice on them.
    env: { FORETOKEN_THREADS: "1", ...(isBuilt ? {} : { FORETOKEN_NO_NATIVE: "1" }) },
    // Loaded by Node itself, which takes less time; but for a module that a test replaces, and its importer.
    server: { deps: { external: [/\/dist\/(?!backend\/select\.node|pretrained\/load\.node)/] } },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    setupFiles: ["test/support/equal-bytes.ts"],
    // A focused test left behind must not pass for the whole suite.
    allowOnly: false,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          ...{ name: "test", include: ["test/**/*.test.ts"], exclude: [slowTests, ...aloneTests] },
          // Files share two processes, which load the library once: that halves their time. So a test leaves its process as
          // it found it: the working directory by itself, variables and globals by what is said here.
          ...{ isolate: false, unstubEnvs: true, unstubGlobals: true },
          // Their small runs save often: on a disk they take an eighth longer. Slow tests save where users do.
          ...(inMemory === undefined ? {} : { env: { TMPDIR: inMemory } }),
        },
      },
      { extends: true, test: { name: "test-alone", include: aloneTests } },
      {
        extends: true,
        test: {
          ...{ name: "slow", include: [slowTests], testTimeout: 600_000, hookTimeout: 600_000 },
          // One more, since these often wait for other processes to start and to end. With a group of its own, which such a
          // number must have, it runs after the others.
          ...{ maxWorkers: 3, sequence: { groupOrder: 1 } },
        },
      },
    ],
  },
});
