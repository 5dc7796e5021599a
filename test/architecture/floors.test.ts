import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const program = join(root, "node_modules/dependency-cruiser/bin/dependency-cruise.mjs");
const rules = join(root, ".dependency-cruiser.mjs");

interface Report {
  readonly summary: {
    readonly violations: readonly { readonly from: string; readonly rule: { readonly name: string } }[];
  };
}

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

/** The rules that a small project with these files breaks, as "rule: file". */
const broken = async (files: Readonly<Record<string, string>>): Promise<string[]> => {
  const folder = await mkdtemp(join(tmpdir(), "foretoken-floors-"));
  folders.push(folder);
  for (const name of ["package.json", "tsconfig.json"]) {
    await writeFile(join(folder, name), await readFile(join(root, name)));
  }
  for (const name of ["src", "web"]) await mkdir(join(folder, name));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"), "junction");
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  const output = await new Promise<string>((resolve, reject) => {
    const args = [program, "--config", rules, "--output-type", "json", "src", "web"];
    execFile(process.execPath, args, { cwd: folder, maxBuffer: 2 ** 26 }, (_error, stdout, stderr) => {
      // Its exit status is the number of violations: after a crash there is no report.
      if (stdout === "") reject(new Error(stderr));
      else resolve(stdout);
    });
  });
  const { summary } = JSON.parse(output) as Report;
  return summary.violations.map(({ rule, from }) => `${rule.name}: ${from}`).sort();
};

const core = {
  "src/core/tensors/shape.ts": "export const one = 1;\nexport interface Shape { readonly size: number }\n",
};

describe("the import rules", () => {
  test("allow what goes down the floors", async () => {
    const files = {
      ...core,
      "src/ops/gelu.ts": 'import { one } from "../core/tensors/shape.ts";\nexport const two = one + one;\n',
    };
    expect(await broken(files)).toEqual([]);
  });

  test("refuse an import from a floor above", async () => {
    const files = {
      "src/ops/gelu.ts": "export const two = 2;\n",
      "src/core/a.ts": 'export { two } from "../ops/gelu.ts";\n',
    };
    expect(await broken(files)).toEqual(["floor-core: src/core/a.ts"]);
  });

  test("refuse a type from a floor above", async () => {
    const files = {
      "src/train/run.ts": "export interface Run { readonly step: number }\n",
      "src/models/model.ts":
        'import type { Run } from "../train/run.ts";\nexport const at = (run: Run): number => run.step;\n',
    };
    expect(await broken(files)).toEqual(["floor-models: src/models/model.ts"]);
  });

  test("refuse training where runs are only read", async () => {
    const files = {
      "src/train/run.ts": "export const one = 1;\n",
      "src/runs/list.ts": "export const two = 2;\n",
      "src/serve/list.ts": 'export { one } from "../train/run.ts";\n',
      "src/plot/list.ts": 'export { two } from "../runs/list.ts";\n',
      "src/cli/commands/runs.ts": 'export { one } from "../../train/run.ts";\n',
      "src/cli/commands/train.ts": 'export { one } from "../../train/run.ts";\n',
    };
    expect(await broken(files)).toEqual([
      "readers-of-runs-do-not-train: src/cli/commands/runs.ts",
      "readers-of-runs-do-not-train: src/serve/list.ts",
    ]);
  });

  test("refuse a folder that is no floor", async () => {
    const files = {
      ...core,
      "src/misc/a.ts": 'export { one } from "../core/tensors/shape.ts";\n',
      "src/cli/main.ts": 'export { one } from "../misc/a.ts";\n',
    };
    expect(await broken(files)).toEqual(["every-folder-is-a-floor: src/cli/main.ts"]);
  });

  test("refuse a cycle", async () => {
    const files = {
      "src/core/a.ts": 'import { b } from "./b.ts";\nexport const a = (): number => b();\n',
      "src/core/b.ts": 'import { a } from "./a.ts";\nexport const b = (): number => a();\n',
    };
    const found = await broken(files);
    expect(found.length).toBeGreaterThan(0);
    expect(found.every((line) => line.startsWith("no-cycles: "))).toBe(true);
  });

  test("refuse a barrel inside the package", async () => {
    const files = {
      ...core,
      "src/everywhere.ts": 'export { one } from "./core/tensors/shape.ts";\n',
      "src/index.ts": 'export * from "./everywhere.ts";\n',
      "src/cli/main.ts": 'export { one } from "../index.ts";\n',
      "src/serve/main.ts": 'export { one } from "../everywhere.ts";\n',
    };
    expect(await broken(files)).toEqual(["no-barrels: src/cli/main.ts", "no-barrels: src/serve/main.ts"]);
  });

  test("refuse Node's modules where the browser runs too", async () => {
    const text = 'import { readFile } from "node:fs/promises";\nexport const read = readFile;\n';
    const files = { "src/io/files.ts": text, "src/io/files.node.ts": text, "src/cli/main.ts": text };
    expect(await broken(files)).toEqual(["node-modules-only-in-node-files: src/io/files.ts"]);
  });

  test("refuse a file for Node where the browser runs too", async () => {
    const files = {
      "src/io/files.node.ts": "export const read = 1;\n",
      "src/io/format.ts": 'export { read } from "./files.node.ts";\n',
    };
    expect(await broken(files)).toEqual(["node-files-only-from-node-files: src/io/format.ts"]);
  });

  test("refuse packages that an installed foretoken would not have", async () => {
    const files = { "src/core/a.ts": 'import fc from "fast-check";\nexport const check = fc.check;\n' };
    expect(await broken(files)).toEqual(["only-declared-packages: src/core/a.ts"]);
  });

  test("refuse code of src in the studio's page, unless it is a shared file, which imports nothing", async () => {
    const files = {
      ...core,
      "src/plot/ticks.ts": "export const ticks = 1;\n",
      "src/runs/rise.ts": 'export { one } from "../core/tensors/shape.ts";\n',
      "web/types.ts":
        'import type { Shape } from "../src/core/tensors/shape.ts";\nexport const of = (shape: Shape) => shape.size;\n',
      "web/shared.ts": 'export { ticks } from "../src/plot/ticks.ts";\n',
      "web/code.ts": 'export { one } from "../src/core/tensors/shape.ts";\n',
    };
    expect(await broken(files)).toEqual([
      "page-bundles-shared-files-alone: web/code.ts",
      "shared-files-import-nothing: src/runs/rise.ts",
    ]);
  });
});

test("docs/architecture.md names each floor, in the order of the rules, from the top", async () => {
  const { floors } = (await import(rules)) as { readonly floors: readonly string[] };
  const page = await readFile(join(root, "docs/architecture.md"), "utf8");
  const [table = ""] = page.split("| floor | contents |").slice(1);
  const [rows = ""] = table.split("\n\n");
  const named = [...rows.matchAll(/^\| `(\w+)` \| (.+) \|$/gmu)].map(([, name]) => name);
  expect(named).toEqual([...floors].reverse());
});
