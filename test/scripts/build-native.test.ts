import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const scripts = ["common.mjs", "native.mjs", "progress.mjs"];
const addon = `dist/backend/implementations/native/foretoken.${process.platform}-${process.arch}.node`;
const onWindows = process.platform === "win32";
const noBuild = onWindows ? " (Windows has no native backend)" : "";
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "foretoken-build-"));
  mkdirSync(join(folder, "scripts/build"), { recursive: true });
  mkdirSync(join(folder, "native"));
  mkdirSync(join(folder, "dist/backend/implementations/native"), { recursive: true });
  mkdirSync(join(folder, "node_modules/node-api-headers"), { recursive: true });
  writeFileSync(join(folder, "native/napi.cc"), "int one = 1;\n");
  writeFileSync(join(folder, "node_modules/node-api-headers/index.js"), "exports.include_dir = '.';\n");
  for (const name of scripts) {
    copyFileSync(
      fileURLToPath(new URL(`../../scripts/build/${name}`, import.meta.url)),
      join(folder, "scripts/build", name),
    );
  }
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const build = (env: Record<string, string>) => {
  const result = spawnSync(process.execPath, ["scripts/build/native.mjs"], { cwd: folder, env, encoding: "utf8" });
  return { status: result.status, stdout: result.stdout, stderr: result.stderr };
};

/** `npm ci` and `npm run build` also build other parts. This test executes only the native build. */
const buildAmongOthers = (env: Record<string, string>) => {
  const program =
    'import("./scripts/build/native.mjs").then(({ buildNative }) => buildNative(console.log)).then(console.log)';
  const result = spawnSync(process.execPath, ["-e", program], { cwd: folder, env, encoding: "utf8" });
  return { status: result.status, stdout: result.stdout, stderr: result.stderr };
};

const compilerThat = (script: string): string => {
  const file = join(folder, "compiler");
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
};

const served = "the native backend is not built; foretoken uses WebAssembly instead";

test.skipIf(onWindows)(`without a compiler one line says so and what to install, and it is a failure${noBuild}`, () => {
  expect(build({ PATH: "" })).toEqual({
    status: 1,
    stdout: "",
    stderr: expect.stringMatching(
      /^no C\+\+ compiler found: the native backend is not built; foretoken uses WebAssembly instead; try (apt-get install g\+\+|xcode-select --install).*\n$/u,
    ),
  });
});

test.skipIf(onWindows)(`without a compiler the build of a clone says so and goes on${noBuild}`, () => {
  expect(buildAmongOthers({ PATH: "" })).toEqual({
    status: 0,
    stdout: `no C++ compiler found: ${served}\n`,
    stderr: "",
  });
});

test("a library of other sources does not stay behind when there is no compiler", () => {
  writeFileSync(join(folder, addon), "old");
  expect(buildAmongOthers({ PATH: "" }).status).toBe(0);
  expect(existsSync(join(folder, addon))).toBe(false);
});

test.skipIf(onWindows)(`a compiler that fails is shown and named, and fails the native build alone${noBuild}`, () => {
  const compiler = compilerThat("echo something is wrong >&2; exit 1");
  const env = { PATH: process.env.PATH ?? "", CXX: compiler };
  const line = `${compiler} failed (its output is above): ${served}\n`;
  const among = buildAmongOthers(env);
  expect(among).toMatchObject({ status: 0, stdout: line });
  expect(among.stderr).toContain("something is wrong");
  const alone = build(env);
  expect(alone).toMatchObject({ status: 1, stdout: "" });
  expect(alone.stderr).toMatch(/something is wrong[\s\S]* failed \(its output is above\): /u);
  expect(alone.stderr.endsWith(line)).toBe(true);
});

test.skipIf(onWindows).for([
  ["is missing", { PATH: "" }],
  ["fails", { PATH: process.env.PATH ?? "", CXX: "false" }],
] as const)(`with FORETOKEN_REQUIRE_NATIVE=1 a compiler that %s is a failure${noBuild}`, ([, env]) => {
  const { status, stderr } = build({ ...env, FORETOKEN_REQUIRE_NATIVE: "1" });
  expect(status).toBe(1);
  expect(stderr).toContain("FORETOKEN_REQUIRE_NATIVE=1 makes this an error");
});

test("FORETOKEN_NO_NATIVE=1 skips the build", () => {
  const { status, stdout } = build({ PATH: process.env.PATH ?? "", FORETOKEN_NO_NATIVE: "1" });
  expect(status).toBe(0);
  expect(stdout).toContain("the native backend is not built");
});

test.skipIf(onWindows).for([
  ["no errors in a user's build", {}, false],
  ["errors with FORETOKEN_REQUIRE_NATIVE=1", { FORETOKEN_REQUIRE_NATIVE: "1" }, true],
  ["errors in CI", { CI: "true" }, true],
] as const)(`warnings are %s, and are shown only where they are${noBuild}`, ([, more, strict]) => {
  const compiler = compilerThat(
    'echo "warning: odd" >&2; case " $* " in *" -Werror "*) exit 1;; esac; for last; do :; done; echo built > "$last"',
  );
  const { stdout, stderr } = build({ PATH: process.env.PATH ?? "", CXX: compiler, ...more });
  expect(stderr.includes("warning: odd")).toBe(strict);
  expect(/^native: built for /mu.test(stdout)).toBe(!strict);
});

test("after a failure no job is begun, and those that run are waited for", async () => {
  const script = new URL("../../scripts/build/native.mjs", import.meta.url).href;
  const { inParallel } = (await import(script)) as {
    inParallel(jobs: readonly (() => Promise<void>)[], workers: number): Promise<void>;
  };
  const told: string[] = [];
  let finishSecond = (): void => {};
  const jobs = [
    async () => {
      throw new Error("the first failed");
    },
    () =>
      new Promise<void>((resolve) => {
        finishSecond = () => {
          told.push("second");
          resolve();
        };
      }),
    async () => void told.push("third"),
  ];
  const all = inParallel(jobs, 2).catch((error: unknown) => void told.push(String(error)));
  await new Promise((resolve) => setImmediate(resolve));
  expect(told).toEqual([]);
  finishSecond();
  await all;
  expect(told).toEqual(["second", "Error: the first failed"]);
});

test.skipIf(onWindows)(`what is up to date is left alone, and a changed source is built again${noBuild}`, () => {
  // Like a compiler, writes the file that its last argument names.
  const compiler = compilerThat('for last; do :; done; echo x >> calls; echo built > "$last"');
  const env = { PATH: process.env.PATH ?? "", CXX: compiler };
  expect(build(env).stdout).toMatch(/^native: compiling for \S.* with \S+\nnative: built for /u);
  expect(existsSync(join(folder, addon))).toBe(true);
  expect(build(env).stdout).toBe("");
  expect(build({ PATH: "" }).stdout).toBe("");
  writeFileSync(join(folder, "native/napi.cc"), "int two = 2;\n");
  expect(build(env).stdout).toMatch(/^native: built for /mu);
});

const { wantedSets } = (await import(new URL("../../scripts/build/native.mjs", import.meta.url).href)) as {
  wantedSets(compilable: readonly { name: string }[], runnable: readonly string[], asked: string): { name: string }[];
};

test.for([
  ["the best of the CPU and the one that all have", ["avx512", "avx2", "baseline"], "", ["baseline", "avx512"]],
  ["one set where that is all", ["baseline"], "", ["baseline"]],
  ["those that are named beside them", ["avx2", "baseline"], "avx512,amx", ["baseline", "avx2", "avx512", "amx"]],
  ["all where that is asked for", ["baseline"], "all", ["baseline", "avx2", "avx512", "amx"]],
  ["none that the compiler does not know", ["avx512bf16", "avx512", "baseline"], "avx512bf16", ["baseline", "avx512"]],
] as const)("compiles %s", ([, runnable, asked, expected]) => {
  const compilable = ["baseline", "avx2", "avx512", "amx"].map((name) => ({ name }));
  expect(wantedSets(compilable, runnable, asked).map(({ name }) => name)).toEqual(expected);
});

test("a set that there is not is refused by name", () => {
  expect(() => wantedSets([{ name: "baseline" }], ["baseline"], "avx2,mmx")).toThrow(
    /^FORETOKEN_BUILD_ISA: must be "all", or some of baseline, avx2, .*; got "mmx"$/u,
  );
});
