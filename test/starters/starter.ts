/** Creates starter projects in the same way as `foretoken init`. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cli } from "../cli/cli.ts";

export const root = fileURLToPath(new URL("../..", import.meta.url));

export interface Starter {
  readonly folder: string;
  readonly remove: () => Promise<void>;
}

export interface StarterOptions {
  /** Whether the starter is in JavaScript (`--js`). */
  readonly js?: boolean;
  /** Without node_modules. */
  readonly bare?: boolean;
}

/** The packages that the TypeScript starters need. The packages come from this project, so that no registry is used. */
const tools: Readonly<Record<"page" | "node", readonly string[]>> = {
  page: ["typescript", "vite"],
  node: ["typescript", "@types/node"],
};

/**
 * A new starter. The starter's node_modules contains links to the packages. npm also makes such links if foretoken is
 * installed from a path.
 */
export const newStarter = async (
  kind: "page" | "node",
  { js = false, bare = false }: StarterOptions = {},
): Promise<Starter> => {
  const parent = await mkdtemp(join(tmpdir(), "foretoken-starter-"));
  const remove = (): Promise<void> => rm(parent, { recursive: true });
  const { status, stderr } = await cli(["init", kind, "starter", ...(js ? ["--js"] : [])], { cwd: parent });
  if (status !== 0) throw new Error(stderr);
  const folder = join(parent, "starter");
  if (bare) return { folder, remove };
  const inFolder = (name: string): string => join(folder, "node_modules", name);
  await mkdir(inFolder("@types"), { recursive: true });
  await symlink(root, inFolder("foretoken"), "junction");
  for (const name of js ? [] : tools[kind]) await symlink(join(root, "node_modules", name), inFolder(name), "junction");
  return { folder, remove };
};

/**
 * Changes the page of a starter. The model is smaller, and training does not stop early. The page evaluates and stores
 * the model every few steps.
 * @param nEmbd with a larger model, a step takes longer
 */
export const makeSmaller = async ({ folder }: Starter, interval: number, nEmbd = 32): Promise<void> => {
  const file = ["main.ts", "main.js"].map((name) => join(folder, name)).find(existsSync) ?? "";
  const changes = [
    [/backend === "wasm"\s*\? \{[^}]*\}/u, `backend === "wasm" ? { nLayer: 2, nEmbd: ${nEmbd}, contextLength: 16 }`],
    [/evalInterval: Math\.ceil\(steps \/ 20\)/u, `patience: 0, evalInterval: ${interval}`],
    [/checkpointInterval: 5\b/u, `checkpointInterval: ${interval}`],
  ] as const;
  let main = await readFile(file, "utf8");
  for (const [asWritten, other] of changes) {
    if (!asWritten.test(main)) throw new Error(`${file} has nothing like ${asWritten}`);
    main = main.replace(asWritten, other);
  }
  await writeFile(file, main);
};

/** The files of a JavaScript page for a static file server. The library is next to the files. */
export const siteFiles = async (folder: string): Promise<Readonly<Record<string, string>>> => ({
  ...Object.fromEntries((await readdir(folder)).map((name) => [`/${name}`, join(folder, name)])),
  "/": join(folder, "index.html"),
  "/foretoken.browser.js": join(root, "dist/foretoken.browser.js"),
});

/** The server of `npm start` on a free port: Vite for TypeScript, the starter's own server for JavaScript. */
const serverOf = (folder: string): readonly string[] => {
  const own = join(folder, "server.mjs");
  return existsSync(own) ? [own, "0"] : [join(folder, "node_modules/vite/bin/vite.js"), "--port", "0"];
};

/** Starts the starter's server on a free port. Resolves to the address of the server. */
export const startServer = async (folder: string): Promise<{ address: string; stop: () => Promise<void> }> => {
  const child: ChildProcess = spawn(process.execPath, serverOf(folder), { cwd: folder, stdio: "pipe" });
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  let printed = "";
  const address = await new Promise<string>((resolve, reject) => {
    const take = (text: string): void => {
      printed += text;
      const [found] = /http:\S+/u.exec(printed) ?? [];
      if (found !== undefined) resolve(found);
    };
    child.stdout?.setEncoding("utf8").on("data", take);
    child.stderr?.setEncoding("utf8").on("data", take);
    child.on("close", () => reject(new Error(printed)));
  });
  return {
    address,
    stop: async () => {
      child.kill();
      await ended;
    },
  };
};
