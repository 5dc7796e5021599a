/** The packed tarball, which is installed into an empty project as by a new user. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Executes a shell command in `cwd`, without npm's variables for its child processes. */
export const shell = (line: string, cwd: string): Promise<Outcome> => {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|FORETOKEN_|NODE_)/.test(name)),
  );
  return new Promise((resolve) => {
    execFile(line, { cwd, shell: true, env, maxBuffer: 2 ** 26 }, (error, stdout, stderr) =>
      resolve({ status: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    );
  });
};

const quiet = "--no-audit --no-fund --loglevel=error";

export interface Installed {
  readonly project: string;
  /** Packed files by their paths. */
  readonly tarballs: readonly string[];
  /** Files of the tarball, with their sizes. */
  readonly files: readonly { readonly path: string; readonly size: number }[];
  readonly unpackedSize: number;
  /** Size of the tarball, in bytes. */
  readonly packedSize: number;
  readonly remove: () => Promise<void>;
}

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: Installed["files"];
}
interface Packing {
  readonly packMain: (options: { to: string; native?: boolean }) => Promise<Packed>;
  readonly packNative: (options: { to: string }) => Promise<Packed>;
}
const packing: Packing = await import(new URL("../../scripts/pack.mjs", import.meta.url).href);

/**
 * Packs the build and installs the tarball. Dependencies come from npm's cache. If the cache does not have them, they
 * come from the registry.
 * @param native whether to include the native kernels that are built on this machine
 * @throws Error with npm's output.
 */
export const installTarball = async ({ native = false } = {}): Promise<Installed> => {
  const folder = await mkdtemp(join(tmpdir(), "foretoken-package-"));
  const project = join(folder, "project");
  const remove = (): Promise<void> => rm(folder, { recursive: true });
  try {
    const packed = await packing.packMain({ to: folder, native });
    const prebuilt = native ? [await packing.packNative({ to: folder })] : [];
    const tarballs = [...prebuilt, packed].map(({ filename }) => join(folder, filename));
    await mkdir(project);
    await writeFile(join(project, "package.json"), '{ "private": true, "type": "module" }\n');
    const names = tarballs.map((path) => `"${path}"`).join(" ");
    const install = (from: string): Promise<Outcome> =>
      shell(`npm install ${from} --install-links ${quiet} ${names}`, project);
    const offline = await install("--offline");
    const installed = offline.status === 0 ? offline : await install("--prefer-offline");
    if (installed.status !== 0) throw new Error(installed.stderr);
    const { files, size, unpackedSize } = packed;
    return { project, tarballs, files, packedSize: size, unpackedSize, remove };
  } catch (error) {
    await remove();
    throw error;
  }
};
