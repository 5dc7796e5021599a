/** The addon from an optional package, for machines without a compiler. scripts/pack.mjs builds this package. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { UnsupportedKernelError } from "../../../core/errors/errors.ts";

/** File name of the addon, both in the optional package and after a local build. */
export const addonFile = `foretoken.${process.platform}-${process.arch}.node`;

interface Manifest {
  readonly version: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const readManifest = (path: string): Manifest => JSON.parse(readFileSync(path, "utf8")) as Manifest;

/** A prebuilt addon for this machine; `file` is null if its package is not installed. */
export interface Prebuilt {
  readonly name: string;
  readonly file: string | null;
}

/**
 * The prebuilt addon that the package in the folder `root` depends on. Only published packages name a prebuilt addon in
 * package.json; a clone does not.
 * @throws UnsupportedKernelError if the optional package has another version than this package, because its kernels may
 * differ.
 */
export const findPrebuilt = (root: string): Prebuilt | undefined => {
  const manifest = join(root, "package.json");
  const { version, optionalDependencies = {} } = readManifest(manifest);
  const suffix = `/native-${process.platform}-${process.arch}`;
  const name = Object.keys(optionalDependencies).find((one) => one.endsWith(suffix));
  if (name === undefined) return undefined;
  let found: string;
  try {
    found = createRequire(manifest).resolve(`${name}/package.json`);
  } catch {
    return { name, file: null };
  }
  const { version: installed } = readManifest(found);
  if (installed === version) return { name, file: join(dirname(found), addonFile) };
  throw new UnsupportedKernelError({
    where: "native backend",
    must: `${name} must have the version of this package, ${version}`,
    got: installed,
    hint: "removing node_modules and package-lock.json, then npm install",
  });
};
