import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { cli, cliProcess, tiny, workplace } from "./cli.ts";

// Far more than any takes, for machines that are slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
});

afterAll(() => remove());

/** The modules that a command loads: ours by their path in dist/, others by their package. */
const modulesOf = async (args: readonly string[]): Promise<readonly string[]> => {
  const folder = join(cwd, `hook-${args[0]}`);
  const list = join(folder, "modules.txt");
  await mkdir(folder);
  const hooks = `import { appendFileSync } from "node:fs";
    export const load = (url, context, next) => {
      appendFileSync(${JSON.stringify(list)}, url + "\\n");
      return next(url, context);
    };`;
  const preload = join(folder, "preload.mjs");
  await writeFile(
    preload,
    `import { register } from "node:module";
    register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hooks)}`)});`,
  );
  const env = { NODE_OPTIONS: `--import=${pathToFileURL(preload).href}` };
  expect(await cliProcess(args, { cwd, env })).toMatchObject({ status: 0 });
  const urls = (await readFile(list, "utf8")).split("\n");
  return urls.flatMap((url) => {
    const [, part] = /\/(?:dist|node_modules)\/(.+)$/u.exec(url) ?? [];
    return part === undefined ? [] : [part];
  });
};

test("--help loads what prints it, and no command", async () => {
  const modules = await modulesOf(["--help"]);
  const strangers = modules.filter(
    (name) =>
      !/^(?:cli\/(?:process\/)?[\w-]+\.js|cli\/display\/texts\/(?:shell|width)\.js|core\/(?:errors|system|text)\/[\w-]+(?:\.node)?\.js|commander\/|picocolors\/)/u.test(
        name,
      ),
  );
  expect(strangers).toEqual([]);
  expect(modules).toContain("cli/program.js");
});

test("generate loads the backend that computes, and nothing of training's but the names in a run's folder", async () => {
  const trained = await cli(["train", ...tiny, "--out", "run"], { cwd });
  expect(trained.status, trained.stderr).toBe(0);
  const generate = ["generate", "run", "--prompt", "T", "--max-new-tokens", "1", "--backend"];
  const modules = await modulesOf([...generate, "reference"]);
  const ofTraining = modules.filter((name) => /^(?:config|evaluate|runs|train|trainer)\//u.test(name));
  expect(ofTraining).toEqual(["runs/folder-names.js"]);
  expect(modules).toContain("backend/implementations/reference/reference.js");
  expect(modules.filter((name) => name.startsWith("backend/implementations/wasm/"))).toEqual([]);
});
