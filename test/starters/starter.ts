/** Starter projects, as `foretoken init` writes them. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cli } from "../cli/cli.ts";

export const root = fileURLToPath(new URL("../..", import.meta.url));

export interface Starter {
  readonly folder: string;
  readonly remove: () => Promise<void>;
}

/** A new starter with foretoken in its node_modules, as npm installs a dependency by its path: a link. `bare`: without. */
export const newStarter = async (kind: "page" | "node", { bare = false } = {}): Promise<Starter> => {
  const parent = await mkdtemp(join(tmpdir(), "foretoken-starter-"));
  const remove = (): Promise<void> => rm(parent, { recursive: true });
  const { status, stderr } = await cli(["init", kind, "starter"], { cwd: parent });
  if (status !== 0) throw new Error(stderr);
  const folder = join(parent, "starter");
  if (bare) return { folder, remove };
  await mkdir(join(folder, "node_modules"));
  await symlink(root, join(folder, "node_modules/foretoken"), "junction");
  return { folder, remove };
};

/** Starts the starter's own server on a free port; resolves to its address. */
export const startServer = async (folder: string): Promise<{ address: string; stop: () => Promise<void> }> => {
  const child: ChildProcess = spawn(process.execPath, ["server.mjs", "0"], { cwd: folder, stdio: "pipe" });
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
