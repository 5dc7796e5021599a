/**
 * A copy of the built package without native kernels. npm installs such a package on machines for which no optional
 * package exists.
 */
import { cp, mkdtemp, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

export interface PackageCopy {
  readonly folder: string;
  /** URL of a module, from its path below `dist`. */
  address(path: string): string;
  /**
   * Makes package.json name an optional package with the native kernels, in foretoken's own version. The package is not
   * installed. If `name` is undefined, package.json names no such package.
   */
  nameNative(name: string | undefined): Promise<void>;
  remove(): Promise<void>;
}

/** The modules that a Node program loads, except native kernels. */
const isNeeded = (path: string): boolean =>
  !/\.(?:node|map|d\.ts)$|[/\\]studio$|browser\.js$/u.test(path) || /serve[/\\]studio$/u.test(path);

export const packageWithoutNative = async (): Promise<PackageCopy> => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "foretoken-without-native-")));
  const manifest = join(folder, "package.json");
  await cp(join(root, "dist"), join(folder, "dist"), { recursive: true, filter: isNeeded });
  await cp(join(root, "package.json"), manifest);
  await symlink(join(root, "node_modules"), join(folder, "node_modules"), "junction");
  return {
    folder,
    address: (path) => pathToFileURL(join(folder, "dist", path)).href,
    nameNative: async (name) => {
      const { optionalDependencies: _, ...fields } = JSON.parse(await readFile(manifest, "utf8"));
      const named = name === undefined ? {} : { optionalDependencies: { [name]: fields.version } };
      await writeFile(manifest, JSON.stringify({ ...fields, ...named }));
    },
    remove: () => rm(folder, { recursive: true }),
  };
};
