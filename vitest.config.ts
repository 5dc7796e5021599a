import { existsSync, readFileSync, statfsSync, statSync } from "node:fs";
import { arch, platform } from "node:os";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** A folder in memory for the files of the tests, if the system has such a folder with enough free space. */
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

/** Whether the bundle of the command is from the same build as the modules: see src/cli/main.ts. */
const isBundled = (): boolean => {
  try {
    const { size, mtimeMs } = statSync(new URL("build/tsconfig.tsbuildinfo", import.meta.url));
    const mark = readFileSync(new URL("dist/command/compiled.txt", import.meta.url), "utf8");
    return mark === `${size} ${Math.floor(mtimeMs / 1000)}`;
  } catch {
    return false;
  }
};

/** Files that replace a module, or imitate a browser while they are loaded. Each file has its own process. */
const alone = ["backend/implementations/worker-browser", "pretrained/load", "web/playground-writing"];
const aloneTests = alone.map((name) => `test/${name}.test.ts`);
const slowTests = "test/**/*.slow.test.ts";

/** The slow test files that take more than 20 seconds, longest first. */
const longest = [
  ...["bench/soak", "train/ranks/faults", "package/tarball", "web/views", "train/ranks/kinds", "web/inside"],
  ...["train/run/book", "package/native", "train/ranks/mpi", "train/ranks/hangs", "train/prepare/memory"],
  ...["package/runtimes"],
  ...[
    "web/chat",
    "web/playground",
    "web/lesson-race",
    "lesson/mask",
    "train/ranks/evaluation",
    "train/ranks/nonfinite",
    "package/docs",
  ],
];

/**
 * The longest of all other files. A clone has no times of earlier tests, so vitest would order files by size. But this
 * file is small.
 */
const longestOfOthers = "/test/conformance/kernels.test.ts";

/** Position of a slow file in the order. All files without a position are earlier. */
const placeOf = ({ moduleId }: TestSpecification): number => {
  if (moduleId.endsWith(longestOfOthers)) return -2;
  const [, name = ""] = /\/test\/(.*)\.slow\.test\.ts$/u.exec(moduleId) ?? [];
  if (name === "") return -1;
  return longest.includes(name) ? longest.indexOf(name) : longest.length;
};

/** Sorts the longest files first. A long file that begins last would leave all other cores idle. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // The sort is stable, so files without a position keep vitest's order.
    return (await super.sort(files)).sort((a, b) => placeOf(a) - placeOf(b));
  }
}

/**
 * `npm test` runs "test" and "test-alone". `npm run test:slow` runs "slow", which takes minutes. One file: `npx vitest
 * run test/data/rows.test.ts`.
 */
export default defineConfig({
  test: {
    // Two files are tested at the same time. Each test uses one thread, except a test that sets another number, because
    // threads that wait for each other spin.
    maxWorkers: 2,
    // If no native kernels are built, tests use WebAssembly on purpose. So programs and commands print no advice about
    // native kernels.
    env: {
      FORETOKEN_THREADS: "1",
      ...(isBuilt ? {} : { FORETOKEN_NO_NATIVE: "1" }),
      ...(isBundled() ? { FORETOKEN_TEST_BUNDLE: "1" } : {}),
    },
    // Node loads these files itself, which is faster. There is an exception: a module that a test replaces, and the
    // importer of this module.
    server: { deps: { external: [/\/dist\/(?!backend\/select\.node|pretrained\/load\.node)/] } },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 50_000 } },
    setupFiles: ["compiler-flags", "equal-bytes", "bundled-threads"].map((name) => `test/support/${name}.ts`),
    // A forgotten `only` must be an error, because it would hide all other tests.
    allowOnly: false,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          ...{ name: "test", include: ["test/**/*.test.ts"], exclude: [slowTests, ...aloneTests] },
          // The files share two processes, which load the library only once. This halves the time. So a test must
          // restore its process. Tests restore the working directory themselves. The settings below restore variables
          // and globals.
          ...{ isolate: false, unstubEnvs: true, unstubGlobals: true },
          // The small runs of the tests save often. On a disk they would take an eighth longer. Slow tests save in the
          // same place as users.
          ...(inMemory === undefined ? {} : { env: { TMPDIR: inMemory } }),
        },
      },
      { extends: true, test: { name: "test-alone", include: aloneTests } },
      {
        extends: true,
        test: {
          ...{ name: "slow", include: [slowTests], testTimeout: 600_000, hookTimeout: 600_000 },
          // One more process, because these tests often wait for the start or the end of other processes. For another
          // number of processes, vitest needs a separate group. So this group is tested after the other groups.
          ...{ maxWorkers: 3, sequence: { groupOrder: 1 } },
        },
      },
    ],
  },
});
