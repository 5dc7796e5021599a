import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BackendReport } from "#foretoken/backend/select.node.js";
import { freeMemoryFrom } from "#foretoken/core/system/available-memory.node.js";
import { resultOf, type Verdict } from "#foretoken/doctor/check.js";
import { memoryVerdict, runsFolderVerdict } from "#foretoken/doctor/machine/resources.node.js";
import {
  compilerVerdict,
  findCompiler,
  leastNode,
  nativeVerdict,
  nodeVerdict,
} from "#foretoken/doctor/machine/software.node.js";
import { packageWithoutNative } from "../support/package-without-native.ts";

// The import uses a URL, because the scripts have no types.
const { findCompiler: findCompilerOfBuild } = (await import(
  new URL("../../scripts/build/native.mjs", import.meta.url).href
)) as { findCompiler(): readonly string[] | undefined };

const kind = { activations: "float32", tiles: null, name: "wasm", threads: 1 } as const;
const mebibyte = 2 ** 20;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-doctor-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The result of a check that may throw. */
const verdictOf = async (run: () => Promise<Verdict>): Promise<Verdict> => {
  const { status, fact, advice } = await resultOf({
    name: "x",
    backend: null,
    advice: "another folder (train --out)",
    run,
  });
  return { status, fact, advice };
};

it("demands the version of Node.js that package.json names", () => {
  const { engines } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  expect(engines.node).toBe(`>=${leastNode}`);
  expect(nodeVerdict(process.version).status).toBe("ok");
  expect(nodeVerdict("v18.19.1")).toEqual({
    status: "failed",
    fact: "v18.19.1: must be 20 or newer",
    advice: "install Node.js 20 or newer: https://nodejs.org",
  });
});

describe("compiler", () => {
  it("is the one that builds native kernels", () => {
    expect(findCompiler(process.env)).toEqual(findCompilerOfBuild());
    expect(findCompiler({ CXX: " ccache g++ ", PATH: "" })).toEqual(["ccache", "g++"]);
    expect(findCompiler({ PATH: folder })).toBeUndefined();
  });

  it("is missing: a warning where native kernels are missing, too, and says how to get both", async () => {
    const copy = await packageWithoutNative();
    const { FORETOKEN_NO_NATIVE: hidden } = process.env;
    try {
      delete process.env.FORETOKEN_NO_NATIVE;
      const { describeBackends } = (await import(copy.address("index.js"))) as {
        describeBackends: () => Promise<BackendReport>;
      };
      const software = (await import(copy.address("doctor/machine/software.node.js"))) as {
        nativeVerdict: typeof nativeVerdict;
      };
      expect(software.nativeVerdict(await describeBackends())).toEqual({
        status: "warning",
        fact: expect.stringMatching(
          /^the addon must be built for .*; got no such file\. WebAssembly is used instead, which is several times slower$/u,
        ),
        advice: expect.stringMatching(/^node .*native\.mjs with a C\+\+ compiler on the path$/u),
      });
    } finally {
      if (hidden !== undefined) process.env.FORETOKEN_NO_NATIVE = hidden;
      await copy.remove();
    }
    const { status, fact, advice } = await compilerVerdict({ PATH: folder }, false);
    expect({ status, fact }).toEqual({ status: "warning", fact: "no c++, g++ or clang++ on the path" });
    expect(advice).toMatch(/; then node .*native\.mjs$|no compiler is needed/u);
  });

  it("is skipped where native kernels are there", async () => {
    expect(await compilerVerdict({ PATH: folder }, true)).toEqual({
      status: "skipped",
      fact: "no c++, g++ or clang++ on the path; not needed, because native kernels are installed",
      advice: null,
    });
  });

  it("that does not compile is named", async () => {
    const { status, fact } = await compilerVerdict({ CXX: join(folder, "nowhere") }, false);
    expect(status).toBe("warning");
    expect(fact).toMatch(/nowhere: .*ENOENT/u);
  });
});

it("warns where a better instruction set was not compiled, and not where a lower one was not", () => {
  const reportOf = (instructionSet: string, notCompiled: readonly string[]): BackendReport => ({
    backends: [
      {
        ...{ name: "native", available: true, instructionSet, instructionSets: [instructionSet], notCompiled },
        ...{ threads: 2, fasterDtype: "float32" },
      },
    ],
    auto: { name: "native", why: "" },
  });
  const { FORETOKEN_NO_NATIVE: hidden } = process.env;
  delete process.env.FORETOKEN_NO_NATIVE;
  try {
    expect(nativeVerdict(reportOf("avx512", ["avx2"]))).toEqual({
      status: "ok",
      fact: "avx512, 2 threads",
      advice: null,
    });
    const { status, fact, advice } = nativeVerdict(reportOf("avx2", ["avx512bf16", "avx512"]));
    expect({ status, fact }).toEqual({
      status: "warning",
      fact: "avx2, 2 threads; this machine supports avx512bf16, but the kernels were not compiled for it",
    });
    expect(advice).toMatch(/^FORETOKEN_BUILD_ISA=avx512bf16 node .*native\.mjs$/u);
  } finally {
    if (hidden !== undefined) process.env.FORETOKEN_NO_NATIVE = hidden;
  }
});

describe("memory", () => {
  /** Free memory, read from a folder with files as in Linux. */
  const freeIn = (mebibytes: number, limit?: number) => {
    const root = join(folder, `memory-${mebibytes}-${limit}`);
    mkdirSync(join(root, "proc/self"), { recursive: true });
    mkdirSync(join(root, "sys/fs/cgroup/box"), { recursive: true });
    writeFileSync(join(root, "proc/meminfo"), `MemTotal: 9000000 kB\nMemAvailable: ${1024 * mebibytes} kB\n`);
    writeFileSync(join(root, "proc/self/cgroup"), "0::/box\n");
    if (limit !== undefined) {
      writeFileSync(join(root, "sys/fs/cgroup/box/memory.max"), `${limit * mebibyte}\n`);
      writeFileSync(join(root, "sys/fs/cgroup/box/memory.current"), `${10 * mebibyte}\n`);
    }
    const free = freeMemoryFrom((path) => {
      const file = join(root, path);
      return existsSync(file) ? readFileSync(file, "utf8") : undefined;
    });
    if (free === undefined) throw new Error("the folder has a /proc/meminfo");
    return free;
  };

  it("is enough", async () => {
    const { status, fact } = await memoryVerdict(freeIn(4096), kind);
    expect(status).toBe("ok");
    expect(fact).toMatch(/^4\.0 GiB free; the preset shakespeare needs \d+\.\d MiB$/u);
  });

  it("is too little for any preset: it fails, and names the container's limit", async () => {
    expect(await memoryVerdict(freeIn(4096, 60), kind)).toEqual({
      status: "failed",
      fact: expect.stringMatching(/^50\.0 MiB free of the container's 60\.0 MiB; training needs at least \d+\.\d MiB/u),
      advice: "give the container more memory",
    });
    expect(await memoryVerdict(freeIn(64), kind)).toMatchObject({ status: "failed", advice: "close other programs" });
  });

  it("is too little for the preset that trains first: a warning names a smaller one", async () => {
    const { status, advice } = await memoryVerdict(freeIn(240), kind);
    expect(status).toBe("warning");
    expect(advice).toBe("close other programs, or train with --preset quick or a smaller --batch-size");
  });
});

/** Mounts a small file system in memory. Returns false if the user or the system does not allow this. */
const mountSmall = (at: string, options: string): boolean => {
  mkdirSync(at);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", options, "foretoken-test", at], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};
const canMount = process.platform === "linux" && process.getuid?.() === 0;

describe("folder for runs", () => {
  it("need not exist, and stays as it was", async () => {
    const { status, fact, advice } = await verdictOf(() => runsFolderVerdict(join(folder, "a/b")));
    expect({ status, advice }).toEqual({ status: "ok", advice: null });
    expect(fact).toMatch(/ free; a run needs \d+\.\d MiB$/u);
    expect(existsSync(join(folder, "a"))).toBe(false);
  });

  it("below a file cannot be made", async () => {
    writeFileSync(join(folder, "file"), "");
    expect(await verdictOf(() => runsFolderVerdict(join(folder, "file/runs")))).toEqual({
      status: "failed",
      fact: expect.stringMatching(/file\/runs: files cannot be written here: a file in its path$/u),
      advice: "another folder (train --out)",
    });
  });

  it.skipIf(process.getuid?.() === 0 || process.platform === "win32")(
    "that nobody may write to is found (not as root)",
    async () => {
      const closed = join(folder, "closed");
      mkdirSync(closed);
      chmodSync(closed, 0o555);
      expect(await verdictOf(() => runsFolderVerdict(closed))).toMatchObject({
        status: "failed",
        fact: expect.stringMatching(/cannot be written to: no permission$/u),
      });
    },
  );

  it.skipIf(!canMount)(
    "on a full disk, on one with too little room and on one for reading (as root on Linux)",
    async () => {
      const disk = (name: string): string => join(folder, name);
      const mounted = [
        ["full", "size=64k"],
        ["small", "size=1m"],
        ["reading", "size=1m,ro"],
      ].filter(([name = "", options = ""]) => mountSmall(disk(name), options));
      try {
        const verdicts = await Promise.all(
          mounted.map(([name = ""]) => verdictOf(() => runsFolderVerdict(disk(name)))),
        );
        const wanted = [
          {
            status: "failed",
            fact: expect.stringMatching(/full: 64\.0 KiB free; a run needs \d+\.\d MiB$/u),
            advice: "free some space on this disk, or use a folder on another disk (train --out)",
          },
          {
            status: "failed",
            fact: expect.stringMatching(/small: 1\.0 MiB free; a run needs/u),
            advice: "free some space on this disk, or use a folder on another disk (train --out)",
          },
          {
            status: "failed",
            fact: expect.stringMatching(/reading: files cannot be written here: a read-only disk$/u),
            advice: "another folder (train --out)",
          },
        ];
        // A container may forbid mounting, even for root.
        expect(verdicts).toEqual(mounted.length === 0 ? [] : wanted);
      } finally {
        for (const [name = ""] of mounted) execFileSync("umount", [disk(name)]);
      }
    },
  );
});
