/** Tests which files a command loads. Also tests that the bundle in dist/command/ behaves like its modules. */
import { spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type Outcome, outcomeOf } from "../outcome-of.ts";
import { cli, program, tiny, workplace } from "./cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  const trained = await cli(["train", ...tiny, "--out", "run"], { cwd });
  expect(trained.status, trained.stderr).toBe(0);
});

afterAll(() => remove());

const root = fileURLToPath(new URL("../..", import.meta.url));
const withSlashes = (path: string): string => path.split(sep).join("/");
/** Starts the program from its modules, even if main.js would use the bundle. */
const modules = join(root, "dist/cli/run.js");

const run = (main: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> =>
  outcomeOf(
    spawn(process.execPath, [main, ...args], {
      cwd,
      env: { ...process.env, LC_ALL: "C.UTF-8", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    }),
  );

/** The files that a command loads. Our files have their path in dist/. Other files have the name of their package. */
const loadedBy = async (main: string, args: readonly string[]): Promise<readonly string[]> => {
  const folder = await mkdtemp(join(cwd, "hook-"));
  const list = join(folder, "modules.txt");
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
  expect(await run(main, args, env)).toMatchObject({ status: 0 });
  const urls = (await readFile(list, "utf8")).split("\n");
  return urls.flatMap((url) => {
    const [, part] = /\/(?:dist|node_modules)\/(.+)$/u.exec(url) ?? [];
    return part === undefined ? [] : [part];
  });
};

test("--help loads what prints it, and no command", async () => {
  const loaded = await loadedBy(modules, ["--help"]);
  const strangers = loaded.filter(
    (name) =>
      !/^(?:cli\/(?:process\/)?[\w-]+\.js|cli\/display\/texts\/(?:shell|width)\.js|core\/(?:errors|system|text)\/[\w-]+(?:\.node)?\.js|commander\/|picocolors\/)/u.test(
        name,
      ),
  );
  expect(strangers).toEqual([]);
  expect(loaded).toContain("cli/program.js");
  expect(loaded).not.toContain("cli/start-thread.js");
});

const generate = ["generate", "run", "--prompt", "T", "--max-new-tokens", "1", "--backend", "reference"];

test("generate loads the backend that computes, and nothing of training's but the names in a run's folder", async () => {
  const loaded = await loadedBy(modules, generate);
  const ofTraining = loaded.filter((name) => /^(?:config|evaluate|runs|train|trainer)\//u.test(name));
  expect(ofTraining).toEqual(["runs/folder-names.js"]);
  expect(loaded).toContain("backend/implementations/reference/reference.js");
  expect(loaded.filter((name) => name.startsWith("backend/implementations/wasm/"))).toEqual([]);
});

test("main.js loads a few files, none of which are modules or training's", async () => {
  const help = await loadedBy(program, ["--help"]);
  expect(help.slice(0, 2)).toEqual(["cli/main.js", "command/run.js"]);
  expect(
    help.slice(1).filter((name) => !/^command\/(?:run|first|program2?|rolldown-runtime)\.js$/u.test(name)),
  ).toEqual([]);
  const loaded = await loadedBy(program, generate);
  expect(loaded).toContain("command/model-entry.js");
  expect(loaded.filter((name) => !/^(?:cli\/main|command\/[\w.-]+)\.js$/u.test(name))).toEqual([]);
  expect(loaded.filter((name) => name.startsWith("command/train"))).toEqual([]);
  // The limit is for two threads. A file that both threads load counts twice.
  expect(loaded.length).toBeLessThan(31);
});

const modulesFolder = join(root, "dist");

/** A compiled module with all modules that it imports immediately, with their sizes in bytes. */
const importedBy = async (entry: string): Promise<ReadonlyMap<string, number>> => {
  const sizes = new Map<string, number>();
  const visit = async (path: string): Promise<void> => {
    const name = withSlashes(relative(modulesFolder, path));
    if (sizes.has(name)) return;
    const code = await readFile(path, "utf8");
    sizes.set(name, Buffer.byteLength(code));
    const imports = code.matchAll(/^(?:(?:import|export)\s[^;"]*?from\s+|import\s+)"(\.[^"]+)"/gmu);
    for (const [, next = ""] of imports) await visit(join(path, "..", next));
  };
  await visit(join(modulesFolder, entry));
  return sizes;
};

const bytesOf = (sizes: ReadonlyMap<string, number>): number =>
  [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);

test("the main thread of generate imports no code that computes or reads weights, and little else", async () => {
  const imported = await importedBy("cli/commands/generate.js");
  const heavy = [...imported.keys()].filter((name) =>
    /^(?:autograd|engine|evaluate|inside|models|nn|ops|optim|train|trainer)\/|^backend\/(?:calls|implementations|kernels)\/|^generate\/constraint\/(?:automata|grammar|machine|schema)\/|^tokenizer\/(?:bpe|sentencepiece)\//u.test(
      name,
    ),
  );
  expect(heavy).toEqual([]);
  expect(imported.has("worker/model.node.js")).toBe(true);
  expect(imported.size).toBeLessThan(95);
  expect(bytesOf(imported)).toBeLessThan(280_000);
});

test("the thread of generate imports no code for adapters, GGUF files, constraints or training", async () => {
  const imported = await importedBy("worker/model-entry.node.js");
  const rare = [...imported.keys()].filter((name) =>
    /^(?:evaluate|optim|train|trainer)\/|^pretrained\/gguf\/(?!source\.node\.js)|^pretrained\/adapter\/base\/(?!check\.js)|^generate\/constraint\/(?:automata|grammar|machine|schema)\/|^tokenizer\/(?:bpe|sentencepiece)\//u.test(
      name,
    ),
  );
  expect(rare).toEqual([]);
  expect(imported.has("engine/engine.js")).toBe(true);
  expect(bytesOf(imported)).toBeLessThan(740_000);
});

test("the files do what the modules do: help, texts and errors are the same", async () => {
  const written = [...generate.slice(0, -4), "--max-new-tokens", "20", "--seed", "3", "--backend", "reference"];
  for (const args of [["--help"], ["genrate"], ["info"], written]) {
    expect(await run(program, args)).toEqual(await cli(args, { cwd }));
  }
});

test("modules that were compiled alone run, and not the files of an earlier build", async () => {
  const folder = await mkdtemp(join(tmpdir(), "foretoken-compiled-"));
  try {
    for (const name of ["package.json", "dist/cli/main.js", "build/tsconfig.tsbuildinfo"]) {
      await mkdir(join(folder, name, ".."), { recursive: true });
      await cp(join(root, name), join(folder, name), { preserveTimestamps: true });
    }
    await cp(join(root, "dist/command/compiled.txt"), join(folder, "dist/command/compiled.txt"));
    await writeFile(join(folder, "dist/command/run.js"), 'console.log("files");');
    await writeFile(join(folder, "dist/cli/run.js"), 'console.log("modules");');
    const main = join(folder, "dist/cli/main.js");
    expect((await run(main, [])).stdout).toBe("files\n");
    // When the compiler writes a module, it changes the time of this file.
    await utimes(join(folder, "build/tsconfig.tsbuildinfo"), 1, 1);
    expect((await run(main, [])).stdout).toBe("modules\n");
    await rm(join(folder, "dist/command"), { recursive: true });
    expect((await run(main, [])).stdout).toBe("modules\n");
    // A package does not contain the compiler's build information.
    await rm(join(folder, "build"), { recursive: true });
    expect((await run(main, [])).stdout).toBe("modules\n");
    await symlink(join(root, "dist/command"), join(folder, "dist/command"), "junction");
    expect((await run(main, ["--version"])).stdout).toBe((await run(program, ["--version"])).stdout);
  } finally {
    await rm(folder, { recursive: true });
  }
});
