import { existsSync, statfsSync } from "node:fs";
import { arch, platform } from "node:os";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** A folder in memory, if the system has one with enough room for the tests' files. */
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

/** Files that replace a module or imitate a browser while they load; each gets its own process. */
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
 * By far the longest of the other files. A clone has no times of an earlier run, so vitest would order files by size,
 * and this file is short.
 */
const longestOfOthers = "/test/conformance/kernels.test.ts";

/** Position of a slow file in the order; all other files come before it. */
const placeOf = ({ moduleId }: TestSpecification): number => {
  if (moduleId.endsWith(longestOfOthers)) return -2;
  const [, name = ""] = /\/test\/(.*)\.slow\.test\.ts$/u.exec(moduleId) ?? [];
  if (name === "") return -1;
  return longest.includes(name) ? longest.indexOf(name) : longest.length;
};

/** Begins with the longest files: a long file that began last would leave all other cores idle. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // The sort is stable: files without a position keep vitest's order.
    return (await super.sort(files)).sort((a, b) => placeOf(a) - placeOf(b));
  }
}

/**
 * `npm test` runs "test" and "test-alone". `npm run test:slow` runs "slow", which takes minutes. One file: `npx vitest
 * run test/data/rows.test.ts`.
 */
export default defineConfig({
  test: {
    // Two files at a time, each with one thread unless a test asks for more, because threads that wait for each other
    // spin.
    maxWorkers: 2,
    // Tests run without native kernels on purpose if none are built, so programs and commands print no advice about
    // them.
    env: { FORETOKEN_THREADS: "1", ...(isBuilt ? {} : { FORETOKEN_NO_NATIVE: "1" }) },
    // Node loads these files itself, which is faster. Exception: a module that a test replaces, and the module's
    // importer.
    server: { deps: { external: [/\/dist\/(?!backend\/select\.node|pretrained\/load\.node)/] } },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    setupFiles: ["test/support/equal-bytes.ts"],
    // A forgotten `only` must fail instead of hiding the other tests.
    allowOnly: false,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          ...{ name: "test", include: ["test/**/*.test.ts"], exclude: [slowTests, ...aloneTests] },
          // Files share two processes, which load the library once; that halves their time. So a test must restore its
          // process: tests restore the working directory themselves, and the settings below restore variables and
          // globals.
          ...{ isolate: false, unstubEnvs: true, unstubGlobals: true },
          // The tests' small runs save often; on a disk they take an eighth longer. Slow tests save where users do.
          ...(inMemory === undefined ? {} : { env: { TMPDIR: inMemory } }),
        },
      },
      { extends: true, test: { name: "test-alone", include: aloneTests } },
      {
        extends: true,
        test: {
          ...{ name: "slow", include: [slowTests], testTimeout: 600_000, hookTimeout: 600_000 },
          // One more process, because these tests often wait for other processes to start and to end. A different
          // number needs a group of its own, so this group runs after the others.
          ...{ maxWorkers: 3, sequence: { groupOrder: 1 } },
        },
      },
    ],
  },
});
