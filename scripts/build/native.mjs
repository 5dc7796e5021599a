// Builds the Node-API addon with this machine's C++ compiler. native/isa.cc is compiled once for each instruction set,
// native/isa_tiles.cc only for the set with tiles, and all other files once.
// If there is no compiler, or the compiler fails, foretoken uses WebAssembly, which is slower. scripts/build.mjs then
// continues. With FORETOKEN_REQUIRE_NATIVE=1, or if a user starts this script, a failure is an error.
// The script compiles the best instruction set of this CPU, and the set that every CPU has. FORETOKEN_BUILD_ISA adds
// sets: "avx2,avx512" or "all". If an existing build has these sets, it is kept.
// npm starts this script when a clone is installed. The package never compiles by itself, but contains this script:
//
//     node node_modules/foretoken/scripts/build/native.mjs
import { spawn } from "node:child_process";
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { hashFiles, isMain, readStamp, root, secondsSince, sourcesUnder, warningFlags, writeStamp } from "./common.mjs";
import { openProgress } from "./progress.mjs";

const output = join(root, "dist/backend/implementations/native", `foretoken.${process.platform}-${process.arch}.node`);

const avx512 = ["-mavx2", "-mfma", "-mprfchw", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512cd"];

/**
 * The instruction sets of an architecture with their compiler flags, lowest first: see `link`. `emulated`: the flags
 * for a machine without the last feature of the set. `tiles`: the kinds of products by tiles; the slowest compilation
 * is first.
 */
export const instructionSets = {
  x64: [
    { name: "baseline", vectorBytes: 16, flags: [] },
    { name: "avx2", vectorBytes: 32, flags: ["-mavx2", "-mfma", "-mprfchw"] },
    { name: "avx512", vectorBytes: 64, flags: avx512 },
    { name: "avx512bf16", vectorBytes: 64, flags: [...avx512, "-mavx512vnni", "-mavx512bf16"] },
    {
      name: "amx",
      vectorBytes: 64,
      flags: [...avx512, "-mavx512vnni", "-mavx512bf16", "-mamx-tile", "-mamx-bf16"],
      emulated: [...avx512, "-mavx512vnni", "-mavx512bf16", "-DFT_EMULATED_TILES"],
      tiles: ["kRounded", "kWhole"],
    },
  ],
  arm64: [{ name: "neon", vectorBytes: 16, flags: [] }],
};

export const commonFlags = [
  "-std=c++20",
  "-O3",
  "-ffp-contract=off",
  "-fno-exceptions",
  "-fno-rtti",
  "-fvisibility=hidden",
  "-fno-math-errno",
  ...warningFlags(),
];

/** The instruction sets with flags that `compiler` knows. The newest sets need a recent compiler. */
export const compilableSets = async (compiler) => {
  const known = await Promise.allSettled(
    (instructionSets[process.arch] ?? []).map(async (set) => {
      await execute([...compiler, ...set.flags, "-x", "c++", "-fsyntax-only", "/dev/null"]);
      return set;
    }),
  );
  return known.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
};

/**
 * Names of the instruction sets of this machine, best first. A program asks the CPU, in the same way as at run time.
 */
export const runnableSets = async (compiler) => {
  const folder = mkdtempSync(join(tmpdir(), "foretoken-probe-"));
  try {
    const program = join(folder, "probe");
    await execute([...compiler, "-std=c++20", "native/probe.cc", "-o", program]);
    return (await execute([program])).trim().split("\n");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

const namesIn = (list) => list.split(",").filter((name) => name !== "");

/**
 * Selects the sets to compile from `compilable`.
 * @param {{ name: string }[]} compilable lowest first
 * @param {readonly string[]} runnable names of the sets that the machine can run
 * @param {string} asked a list of names, "all", or nothing
 */
export const wantedSets = (compilable, runnable, asked) => {
  // wasm.mjs builds the last set of this list.
  const known = [...Object.values(instructionSets).flatMap((sets) => sets.map(({ name }) => name)), "relaxed-simd"];
  const names = namesIn(asked);
  const unknown = names.find((name) => name !== "all" && !known.includes(name));
  if (unknown !== undefined)
    throw new Error(
      `FORETOKEN_BUILD_ISA: must be "all", or some of ${known.join(", ")}; got ${JSON.stringify(unknown)}`,
    );
  if (names.includes("all")) return compilable;
  const best = compilable.findLast(({ name }) => runnable.includes(name));
  return compilable.filter((set, i) => i === 0 || set === best || names.includes(set.name));
};

/** Flags for native/tables.cc: the instruction sets that are in the binary. */
export const tableDefines = (sets) => sets.map(({ name }) => `-DFT_HAS_${name.toUpperCase()}`);

export const isaDefines = ({ name, vectorBytes }) => [`-DFT_ISA=${name}`, `-DFT_VECTOR_BYTES=${vectorBytes}`];

/** Compilations for one instruction set, longest first. `flags` do not include the flags of the set. */
export const unitsOfSet = (set) => {
  const { name, tiles = [] } = set;
  const flags = isaDefines(set);
  return [
    ...tiles.map((parts) => ({
      name: `isa-${name}-${parts}`,
      source: "native/isa_tiles.cc",
      flags: [...flags, `-DFT_PARTS=${parts}`],
    })),
    { name: `isa-${name}`, source: "native/isa.cc", flags },
  ];
};

/** Whether the program is on the path. */
export const onPath = (program) =>
  (process.env.PATH ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return folder !== "";
    } catch {
      return false;
    }
  });

/**
 * The compiler command as a list of words. Undefined if there is no compiler. $CXX may contain arguments, such as
 * "ccache g++".
 */
export const findCompiler = () => {
  const named = process.env.CXX?.trim();
  if (named) return named.split(/\s+/);
  const found = ["c++", "g++", "clang++"].find(onPath);
  return found === undefined ? undefined : [found];
};

/**
 * Executes a command in the project's folder. Resolves to its output. If it fails, rejects with its output.
 * @param {string[]} command
 * @param {(text: string) => void} [tell] gets its standard output immediately
 * @returns {Promise<string>}
 */
export const execute = (command, tell) =>
  new Promise((resolve, reject) => {
    const [program = "", ...args] = command;
    const child = spawn(program, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
      tell?.(String(chunk));
    });
    child.stderr.on("data", (chunk) => (text += chunk));
    child.on("error", (error) => reject(new Error(String(error.message))));
    child.on("close", (code) =>
      code === 0 ? resolve(text) : reject(new Error(text || `${program} exited with ${code}`)),
    );
  });

/**
 * Runs jobs, at most `workers` at a time. After a failure, no more jobs are started. The function waits for the active
 * jobs, so that their files can be removed. Then it rejects with the first failure.
 */
export const inParallel = async (jobs, workers = availableParallelism()) => {
  const waiting = [...jobs];
  const failures = [];
  const worker = async () => {
    for (let job = waiting.shift(); job !== undefined && failures.length === 0; job = waiting.shift()) {
      try {
        await job();
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: workers }, worker));
  if (failures.length > 0) throw failures[0];
};

/**
 * Headers of Node-API. A clone has these headers as a package. Most installations of Node have them next to the
 * program.
 */
export const findHeaders = () => {
  try {
    return createRequire(import.meta.url)("node-api-headers").include_dir;
  } catch {
    const beside = join(dirname(dirname(realpathSync(process.execPath))), "include/node");
    return existsSync(join(beside, "node_api.h")) ? beside : undefined;
  }
};

const build = async (compiler, sets, headers) => {
  mkdirSync(join(root, "build"), { recursive: true });
  mkdirSync(dirname(output), { recursive: true });
  // Each build has a separate folder, so that two builds at the same time do not mix.
  const objects = mkdtempSync(join(root, "build/native-"));

  const common = ["napi", "branches", "dispatch", "parallel", "heap", "tables"].map((name) => ({
    name,
    source: `native/${name}.cc`,
    flags: ["-isystem", headers, "-DNAPI_VERSION=8", ...(name === "tables" ? tableDefines(sets) : [])],
  }));
  const bySet = sets.map((set) => unitsOfSet(set).map((unit) => ({ ...unit, flags: [...unit.flags, ...set.flags] })));
  const objectOf = ({ name }) => join(objects, `${name}.o`);
  // Longest first.
  const jobs = [...[...bySet].reverse().flat(), ...common].map(
    (unit) => () =>
      execute([
        ...[...compiler, ...commonFlags, "-fPIC", "-pthread", ...unit.flags],
        ...["-c", unit.source, "-o", objectOf(unit)],
      ]),
  );
  const temporary = `${output}.${process.pid}.tmp`;

  // If several sets define an inline function, the linker takes the copy of the lowest set, because of this order.
  const link =
    process.platform === "darwin"
      ? ["-bundle", "-undefined", "dynamic_lookup"]
      : ["-shared", "-Wl,--as-needed", "-pthread"];
  try {
    await inParallel(jobs);
    await execute([...compiler, ...link, ...[...common, ...bySet.flat()].map(objectOf), "-o", temporary]);
    renameSync(temporary, output);
  } finally {
    rmSync(temporary, { force: true });
    rmSync(objects, { recursive: true, force: true });
  }
};

/** How to get a compiler. */
const installCompiler =
  process.platform === "darwin" ? "xcode-select --install" : "apt-get install g++ (on Debian and Ubuntu)";

/**
 * Builds the addon if it is out of date. Resolves to a line for the user, or to undefined.
 * @param {(line: string) => void} tell gets a line before the compilation, which takes a minute or more
 * @param {{ alone?: boolean }} [options] alone: only the addon is built, so it rejects if the addon cannot be built
 */
export const buildNative = async (tell, { alone = false } = {}) => {
  const required = process.env.FORETOKEN_REQUIRE_NATIVE === "1";
  const isUnwanted = process.env.FORETOKEN_NO_NATIVE === "1";
  const skip = (reason, hint = "") => {
    // An addon from other sources must not be loaded.
    if (!isUnwanted) rmSync(output, { force: true });
    const line = `${reason}: the native backend is not built; foretoken uses WebAssembly instead`;
    if (required) throw new Error(`${line} (FORETOKEN_REQUIRE_NATIVE=1 makes this an error)`);
    if (alone && !isUnwanted) throw new Error(line + hint);
    return line;
  };
  if (isUnwanted) return skip("FORETOKEN_NO_NATIVE=1");
  if (process.platform === "win32" || instructionSets[process.arch] === undefined)
    return skip(`${process.platform} ${process.arch} is not supported`);
  const sources = sourcesUnder("native", [".h", ".cc"]).filter(
    // mpi.cc and mpi/ belong to another addon, which mpi.mjs builds.
    (file) => !["native/test/", "native/mpi/", "native/mpi.cc"].some((other) => file.startsWith(other)),
  );
  const hash = hashFiles([...sources, "scripts/build/native.mjs"]);
  const compiler = findCompiler();
  const built = readStamp("native", output);
  if (compiler === undefined)
    return built?.startsWith(hash)
      ? undefined
      : skip("no C++ compiler found", `; try ${installCompiler}, then this again`);
  const asked = process.env.FORETOKEN_BUILD_ISA ?? "";
  // The CPU decides which sets can be used.
  const stamp = `${hash} ${compiler.join(" ")} ${cpus()[0]?.model}: `;
  const has = built?.startsWith(stamp) ? built.slice(stamp.length).split(",") : undefined;
  if (has !== undefined && namesIn(asked).every((name) => name === "relaxed-simd" || has.includes(name)))
    return undefined;
  const headers = findHeaders();
  if (headers === undefined) return skip("no Node-API headers found (npm install node-api-headers)");
  const started = performance.now();
  const compilable = await compilableSets(compiler);
  const runnable = await runnableSets(compiler).catch(() => undefined);
  // If the CPU cannot be asked, all sets count as usable.
  const sets = wantedSets(compilable, runnable ?? [], runnable === undefined ? "all" : asked);
  const names = sets.map(({ name }) => name);
  // A broken compiler cannot compile any set.
  if (names.length > 0) tell(`native: compiling for ${names.join(", ")} with ${compiler.join(" ")}`);
  try {
    await build(compiler, sets, headers);
  } catch (error) {
    console.error(error.message);
    return skip(`${compiler[0]} failed (its output is above)`);
  }
  writeStamp("native", stamp + [...names, ...(sets.length === compilable.length ? ["all"] : [])].join());
  return `native: built for ${names.join(", ")} in ${secondsSince(started)}`;
};

if (isMain(import.meta.url)) {
  const { tell, part, stop } = openProgress(console.log);
  try {
    await part("native kernels", buildNative(tell, { alone: true }));
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  } finally {
    stop();
  }
}
