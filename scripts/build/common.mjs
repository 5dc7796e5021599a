// Code that the build scripts share: the project's root, and stamps that say whether an output is up to date.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** Whether Node was started with the module at `url`. */
export const isMain = (url) => process.argv[1] !== undefined && pathToFileURL(process.argv[1]).href === url;

const isSet = (value = "") => !["", "0", "false"].includes(value);

/** Whether this is CI, according to an environment variable. */
export const isCi = (env = process.env) => isSet(env.CI);

/**
 * Compiler warnings are errors only in CI. A user's compiler may give more warnings than the compilers that we have
 * tested.
 */
export const warningFlags = (env = process.env) => [
  "-Wall",
  "-Wextra",
  ...(env.FORETOKEN_REQUIRE_NATIVE === "1" || isCi(env) ? ["-Werror"] : []),
];

/** A path with "/" on every platform. git, the texts of the build and the WebAssembly compiler use "/". */
export const withSlashes = (path, separator = sep) => path.split(separator).join("/");

/**
 * Paths of the files under `folder` with one of the `endings`. The paths are sorted and relative to the root, with "/"
 * between folders.
 */
export const sourcesUnder = (folder, endings) =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => withSlashes(relative(root, join(entry.parentPath ?? entry.path, entry.name))))
    .sort();

/** A digest of the files' names and contents, and of `extra`. */
export const hashFiles = (files, extra = []) => {
  const hash = createHash("sha256");
  for (const text of extra) hash.update(`${text}\0`);
  for (const file of files)
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update("\0");
  return hash.digest("hex");
};

const stampPath = (name) => join(root, "build", `${name}.stamp`);

/** The digest of the sources from which `output` was built. Undefined if the output or its stamp is missing. */
export const readStamp = (name, output) =>
  existsSync(output) && existsSync(stampPath(name)) ? readFileSync(stampPath(name), "utf8") : undefined;

export const writeStamp = (name, hash) => {
  mkdirSync(join(root, "build"), { recursive: true });
  writeFileSync(stampPath(name), hash);
};

export const secondsSince = (started) => `${((performance.now() - started) / 1000).toFixed(1)} s`;
