import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const program = join(root, "node_modules/dependency-cruiser/bin/dependency-cruise.mjs");
const rules = join(root, ".dependency-cruiser.mjs");

interface Report {
  readonly summary: {
    readonly violations: readonly { readonly from: string; readonly rule: { readonly name: string } }[];
  };
}

interface Case {
  readonly title: string;
  readonly files: Readonly<Record<string, string>>;
  /** Rules that these files break, as "rule: file". */
  readonly broken: readonly string[];
}

const core = {
  "src/core/tensors/shape.ts": "export const one = 1;\nexport interface Shape { readonly size: number }\n",
};

// All cases are in one project, because the project is read only once. So all file names of the cases must be
// different.
const cases: readonly Case[] = [
  {
    title: "allow what goes down the floors",
    files: { "src/ops/gelu.ts": 'import { one } from "../core/tensors/shape.ts";\nexport const two = one + one;\n' },
    broken: [],
  },
  {
    title: "refuse an import from a floor above",
    files: {
      "src/ops/above.ts": "export const two = 2;\n",
      "src/core/below.ts": 'export { two } from "../ops/above.ts";\n',
    },
    broken: ["floor-core: src/core/below.ts"],
  },
  {
    title: "refuse a type from a floor above",
    files: {
      "src/train/run.ts": "export interface Run { readonly step: number }\n",
      "src/models/model.ts":
        'import type { Run } from "../train/run.ts";\nexport const at = (run: Run): number => run.step;\n',
    },
    broken: ["floor-models: src/models/model.ts"],
  },
  {
    title: "refuse a folder that is no floor",
    files: {
      "src/misc/a.ts": 'export { one } from "../core/tensors/shape.ts";\n',
      "src/cli/misc.ts": 'export { one } from "../misc/a.ts";\n',
    },
    broken: ["every-folder-is-a-floor: src/cli/misc.ts"],
  },
  {
    title: "refuse training where runs are only read",
    files: {
      "src/train/trained.ts": "export const one = 1;\n",
      "src/runs/listed.ts": "export const two = 2;\n",
      "src/serve/list.ts": 'export { one } from "../train/trained.ts";\n',
      "src/plot/list.ts": 'export { two } from "../runs/listed.ts";\n',
      "src/cli/commands/runs.ts": 'export { one } from "../../train/trained.ts";\n',
      "src/cli/commands/train.ts": 'export { one } from "../../train/trained.ts";\n',
    },
    broken: [
      "readers-of-runs-do-not-train: src/cli/commands/runs.ts",
      "readers-of-runs-do-not-train: src/serve/list.ts",
    ],
  },
  {
    title: "refuse a cycle",
    files: {
      "src/core/a.ts": 'import { b } from "./b.ts";\nexport const a = (): number => b();\n',
      "src/core/b.ts": 'import { a } from "./a.ts";\nexport const b = (): number => a();\n',
    },
    // A cycle is reported only once.
    broken: ["no-cycles: src/core/a.ts"],
  },
  {
    title: "refuse a barrel inside the package",
    files: {
      "src/index.ts": 'export { one } from "./core/tensors/shape.ts";\n',
      "src/cli/barrel.ts": 'export { one } from "../index.ts";\n',
    },
    broken: ["no-barrels: src/cli/barrel.ts"],
  },
  {
    title: "refuse Node's modules where the browser runs too",
    files: Object.fromEntries(
      ["src/io/read.ts", "src/io/read.node.ts", "src/cli/read.ts"].map((name) => [
        name,
        'import { readFile } from "node:fs/promises";\nexport const read = readFile;\n',
      ]),
    ),
    broken: ["node-modules-only-in-node-files: src/io/read.ts"],
  },
  {
    title: "refuse a file for Node where the browser runs too",
    files: {
      "src/io/files.node.ts": "export const read = 1;\n",
      "src/io/format.ts": 'export { read } from "./files.node.ts";\n',
    },
    broken: ["node-files-only-from-node-files: src/io/format.ts"],
  },
  {
    title: "refuse packages that an installed foretoken would not have",
    files: { "src/core/check.ts": 'import fc from "fast-check";\nexport const check = fc.check;\n' },
    broken: ["only-declared-packages: src/core/check.ts"],
  },
  {
    title: "refuse code of src in the studio's page, unless it is a shared file, which imports nothing",
    files: {
      "src/plot/ticks.ts": "export const ticks = 1;\n",
      "src/runs/rise.ts": 'export { one } from "../core/tensors/shape.ts";\n',
      "web/types.ts":
        'import type { Shape } from "../src/core/tensors/shape.ts";\nexport const of = (shape: Shape) => shape.size;\n',
      "web/shared.ts": 'export { ticks } from "../src/plot/ticks.ts";\n',
      "web/code.ts": 'export { one } from "../src/core/tensors/shape.ts";\n',
    },
    broken: ["page-bundles-shared-files-alone: web/code.ts", "shared-files-import-nothing: src/runs/rise.ts"],
  },
];

const folder = await mkdtemp(join(tmpdir(), "foretoken-floors-"));
afterAll(() => rm(folder, { recursive: true }));

/** The rules that a project with all these files breaks. Each rule is listed with its file. */
const violations = async (): Promise<{ readonly from: string; readonly line: string }[]> => {
  for (const name of ["package.json", "tsconfig.json"]) {
    await writeFile(join(folder, name), await readFile(join(root, name)));
  }
  await symlink(join(root, "node_modules"), join(folder, "node_modules"), "junction");
  for (const [name, text] of [core, ...cases.map(({ files }) => files)].flatMap((files) => Object.entries(files))) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text, { flag: "wx" });
  }
  const output = await new Promise<string>((resolve, reject) => {
    const args = [program, "--config", rules, "--output-type", "json", "src", "web"];
    execFile(process.execPath, args, { cwd: folder, maxBuffer: 2 ** 26 }, (_error, stdout, stderr) => {
      // The exit status is the number of violations. After a crash, there is no report.
      if (stdout === "") reject(new Error(stderr));
      else resolve(stdout);
    });
  });
  const { summary } = JSON.parse(output) as Report;
  return summary.violations.map(({ rule, from }) => ({ from, line: `${rule.name}: ${from}` }));
};

describe("the import rules", () => {
  let found: Awaited<ReturnType<typeof violations>>;
  beforeAll(async () => {
    found = await violations();
  });

  test.each(cases)("$title", ({ files, broken }) => {
    const own = found.filter(({ from }) => from in files).map(({ line }) => line);
    expect([...new Set(own)].sort()).toEqual(broken);
  });

  test("refuse nothing else", () => {
    expect([...new Set(found.map(({ line }) => line))].sort()).toEqual(cases.flatMap(({ broken }) => broken).sort());
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
