// Builds the addon that connects ranks by MPI, with MPI's own compiler command (mpicxx, or $MPICXX). The addon is
// optional: without it, foretoken refuses only `mpirun … foretoken train`. If MPI is missing, this script prints one
// line. With FORETOKEN_REQUIRE_MPI=1, it is an error if MPI is missing.
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { hashFiles, isMain, readStamp, root, secondsSince, writeStamp } from "./common.mjs";
import { commonFlags, execute, findHeaders, onPath } from "./native.mjs";

/** The first file is compiled, and it includes the other files. */
const sources = [
  "native/mpi.cc",
  "native/mpi/end.h",
  "native/mpi/engine.h",
  "native/mpi/life.h",
  "native/mpi/processes.h",
  "native/mpi/sharing.h",
];

/** The path of the addon, relative to the folder of the compiled program. */
export const addonFile = join("train/ranks", `foretoken-mpi.${process.platform}-${process.arch}.node`);

const output = join(root, "dist", addonFile);

const findMpiCompiler = () => {
  const named = process.env.MPICXX?.trim();
  if (named) return named.split(/\s+/);
  const found = ["mpicxx", "mpic++"].find(onPath);
  return found === undefined ? undefined : [found];
};

/** Compiles the addon and replaces `file` with it. Rejects with the compiler's output. */
export const compileMpi = async (compiler, headers, file) => {
  const temporary = `${file}.${process.pid}.tmp`;
  // The addon is never unloaded. Otherwise Node would unload it at the end of a Node thread, while MPI's threads may
  // still execute code of the addon.
  const link =
    process.platform === "darwin"
      ? ["-bundle", "-undefined", "dynamic_lookup"]
      : ["-shared", "-Wl,--as-needed", "-Wl,-z,nodelete"];
  const flags = [...commonFlags, "-fPIC", "-pthread", "-isystem", headers, "-DNAPI_VERSION=8"];
  mkdirSync(dirname(file), { recursive: true });
  try {
    await execute([...compiler, ...flags, ...link, sources[0], "-o", temporary]);
    renameSync(temporary, file);
  } finally {
    rmSync(temporary, { force: true });
  }
};

/** Builds the addon if it is out of date. Resolves to a line for the user, or to undefined. */
export const buildMpi = async () => {
  const skip = (reason) => {
    // An addon from other sources must not be loaded.
    rmSync(output, { force: true });
    const line = `${reason}: the MPI addon is not built; training uses one process`;
    if (process.env.FORETOKEN_REQUIRE_MPI === "1") throw new Error(`${line} (FORETOKEN_REQUIRE_MPI=1)`);
    return line;
  };
  const compiler = findMpiCompiler();
  if (compiler === undefined) return skip("no mpicxx found (Debian: libopenmpi-dev)");
  const headers = findHeaders();
  if (headers === undefined) return skip("no Node-API headers found (npm install node-api-headers)");
  // For another MPI, another library must be linked.
  const stamp = `${hashFiles([...sources, "scripts/build/mpi.mjs"])} ${await execute([...compiler, "-show"]).catch(() => "")}`;
  if (existsSync(output) && readStamp("mpi", output) === stamp) return undefined;
  const started = performance.now();
  try {
    await compileMpi(compiler, headers, output);
  } catch (error) {
    console.error(error.message);
    return skip(`${compiler[0]} failed (its output is above)`);
  }
  writeStamp("mpi", stamp);
  return `MPI: built in ${secondsSince(started)}`;
};

/** If the user starts this script and no build is needed, it reports the existing addon. */
const upToDate = async () => {
  const file = relative(root, output);
  try {
    const { mpiLibrary } = await import("../../dist/train/ranks/addon.node.js");
    return `MPI: up to date, for ${mpiLibrary()}: ${file}`;
  } catch (error) {
    return `MPI: up to date: ${file}; it cannot be loaded here: ${error.message}`;
  }
};

if (isMain(import.meta.url)) {
  try {
    console.log((await buildMpi()) ?? (await upToDate()));
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
