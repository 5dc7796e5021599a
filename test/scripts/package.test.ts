import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test, vi } from "vitest";

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
    "backend/implementations/wasm/kernels.wasm",
    "backend/implementations/wasm/kernels.relaxed-simd.wasm",
  ];
  expect(paths).toEqual(expect.arrayContaining(needed.map((name) => `dist/${name}`)));
  // A browser needs only one file: its parts would never be read.
  expect(paths.filter((path) => /(^|[/.])browser\.js$/.test(path))).toEqual(["dist/foretoken.browser.js"]);
  // The C++ is there for users who build it themselves, its tests are not.
  const known =
    /^(dist\/.*|native\/(?!test\/).*\.(cc|h)|scripts\/build-(common|native)\.mjs|README\.md|LICENSE|CHANGELOG\.md|package\.json)$/;
  expect(paths.filter((path) => !known.test(path))).toEqual([]);
  expect(paths.filter((path) => /\.(node|map|tmp|ts)$/.test(path) && !path.endsWith(".d.ts"))).toEqual([]);
});
