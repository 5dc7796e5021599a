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
  for (const path of ["dist/index.js", "dist/index.d.ts", "dist/cli/main.js", "dist/backend/wasm/kernels.wasm"]) {
    expect(paths).toContain(path);
  }
  expect(paths.filter((path) => /\.(node|map|tmp|ts|cc|h)$/.test(path) && !path.endsWith(".d.ts"))).toEqual([]);
});
