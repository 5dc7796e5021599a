import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test, vi } from "vitest";

// The import uses a URL, because the scripts have no types.
const { isWanted } = (await import(new URL("../../scripts/build/wasm.mjs", import.meta.url).href)) as {
  isWanted(set: string, environment: Readonly<Record<string, string>>): boolean;
};
const { pack } = (await import(new URL("../../scripts/pack.mjs", import.meta.url).href)) as {
  pack(folder: string, to: string): Promise<{ readonly filename: string }>;
};

vi.setConfig({ testTimeout: 60_000 });

test("the package holds what runs anywhere, and nothing of this machine or of unpacked sources", async () => {
  const { stdout } = await promisify(execFile)("npm pack --dry-run --json --ignore-scripts", {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    shell: true,
  });
  const [{ files }] = JSON.parse(stdout) as [{ files: readonly { path: string }[] }];
  const paths = files.map(({ path }) => path);
  const needed = [
    "index.js",
    "index.d.ts",
    "browser.d.ts",
    "foretoken.browser.js",
    "cli/main.js",
    "command/run.js",
    "command/licences.txt",
    "starters/node/main.js",
    "starters/page/main.js",
    "studio/index.html",
    "backend/implementations/wasm/kernels.wasm",
  ];
  expect(paths).toEqual(expect.arrayContaining(needed.map((name) => `dist/${name}`)));
  // A clone may lack the file of the other instruction set, as described below.
  const relaxed = "dist/backend/implementations/wasm/kernels.relaxed-simd.wasm";
  expect(paths.includes(relaxed)).toBe(existsSync(new URL(`../../${relaxed}`, import.meta.url)));
  // A browser needs only one file. Separate parts of the library would never be read.
  expect(paths.filter((path) => /(^|[/.])browser\.js$/.test(path))).toEqual(["dist/foretoken.browser.js"]);
  // The bundle in dist/command/ contains the command with all its modules that the library does not need.
  expect(paths.filter((path) => /^dist\/(?:cli|doctor|lesson|serve)\//.test(path))).toEqual(["dist/cli/main.js"]);
  // This file would describe a build on another machine.
  expect(paths).not.toContain("dist/command/compiled.txt");
  // The package contains the C++ sources, because some users build them. The package does not contain the C++ tests.
  const known =
    /^(dist\/.*|native\/(?!test\/).*\.(cc|h)|scripts\/build\/(common|progress|mpi|native)\.mjs|templates\/.*|schemas\/sweep\.json|examples\/names\.txt|README\.md|LICENSE|CHANGELOG\.md|package\.json)$/;
  expect(paths.filter((path) => !known.test(path))).toEqual([]);
  expect(paths.filter((path) => /\.(node|map|tmp|ts)$/.test(path) && !/\.d\.ts$|^templates\//.test(path))).toEqual([]);
});

test("packages go to a relative folder of the caller, not of npm", async () => {
  const folder = await mkdtemp(join(tmpdir(), "foretoken-packed-"));
  try {
    await writeFile(join(folder, "package.json"), '{ "name": "small", "version": "1.0.0" }\n');
    const to = join(folder, "packed");
    const { filename } = await pack(folder, relative(process.cwd(), to));
    expect(await readdir(to)).toEqual([filename]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.each([
  ["a clone", {}, ["simd128"]],
  ["a clone whose user asks for native sets", { FORETOKEN_BUILD_ISA: "avx2" }, ["simd128"]],
  ["a clone whose user asks for it", { FORETOKEN_BUILD_ISA: "avx2,relaxed-simd" }, ["simd128", "relaxed-simd"]],
  ["continuous integration", { FORETOKEN_BUILD_ISA: "all" }, ["simd128", "relaxed-simd"]],
  ["the package", { npm_command: "pack" }, ["simd128", "relaxed-simd"]],
  ["the package that is published", { npm_command: "publish" }, ["simd128", "relaxed-simd"]],
])("%s has these sets of WebAssembly", (_, environment, sets) => {
  expect(["simd128", "relaxed-simd"].filter((set) => isWanted(set, environment))).toEqual(sets);
});
