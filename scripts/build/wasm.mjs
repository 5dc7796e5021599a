// Compiles the C++ files of the kernels to WebAssembly. The compiler is clang from the npm package @yowasp/clang, which
// is itself WebAssembly. So the machine needs no compiler.
// The script compiles simd128, the default at run time. It also compiles relaxed-simd for the package, or if
// FORETOKEN_BUILD_ISA contains "relaxed-simd" or is "all". Modules that are up to date are kept.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hashFiles, isMain, readStamp, root, secondsSince, sourcesUnder, warningFlags, writeStamp } from "./common.mjs";

const folder = join(root, "dist/backend/implementations/wasm");
const units = ["wasm", "branches", "dispatch", "parallel", "heap", "isa"];

const flags = [
  "--target=wasm32-wasip1",
  "-std=c++20",
  "-O3",
  "-ffp-contract=off",
  "-fno-exceptions",
  "-fno-rtti",
  "-fno-math-errno",
  "-fvisibility=hidden",
  "-msimd128",
  "-matomics",
  "-mbulk-memory",
  "-mthread-model",
  "posix",
  // This pass would turn the constant offsets of loads into separate additions.
  "-mllvm",
  "-disable-lsr",
  "-nostdlib",
  "-iquote",
  "native",
  ...warningFlags(),
  "-DFT_VECTOR_BYTES=16",
];

/** One module for each instruction set. src/backend/implementations/wasm/node.ts and browser.ts choose between them. */
const modules = [
  { set: "simd128", file: "kernels.wasm", flags: ["-DFT_ISA=simd128"] },
  { set: "relaxed-simd", file: "kernels.relaxed-simd.wasm", flags: ["-DFT_ISA=relaxed_simd", "-mrelaxed-simd"] },
];

/**
 * Whether the module of an instruction set must be compiled.
 * @param {string} set
 * @param {Readonly<Record<string, string | undefined>>} environment as process.env
 */
export const isWanted = (set, { npm_command: command = "", FORETOKEN_BUILD_ISA: named = "" }) => {
  const names = named.split(",");
  return set === "simd128" || ["pack", "publish"].includes(command) || names.includes("all") || names.includes(set);
};

const linkFlags = [
  "--no-entry",
  "--shared-memory",
  "--import-memory",
  "--max-memory=4294967296",
  "--export=__stack_pointer",
  "--stack-first",
  "-z",
  "stack-size=1048576",
  "--strip-all",
];

// The compiler's file system does not support "..", so paths are relative to native/, which is on the include path.
const withoutParents = (text) => text.replaceAll(/^#include "(?:\.\.\/)+/gm, '#include "');

const treeOf = (files) => {
  const tree = {};
  for (const file of files) {
    const parts = file.split("/");
    const name = parts.pop();
    let place = tree;
    for (const part of parts) place = place[part] ??= {};
    place[name] = withoutParents(readFileSync(join(root, file), "utf8"));
  }
  return tree;
};

/** @returns the module's bytes */
const compile = async (moduleFlags, sources) => {
  // The package's types lack this function.
  const { runClang } = /** @type {any} */ (await import("@yowasp/clang"));
  let printed = "";
  const decoder = new TextDecoder();
  const print = (bytes) => {
    if (bytes !== null) printed += decoder.decode(bytes, { stream: true });
  };
  const command = [
    "clang++",
    ...flags,
    ...moduleFlags,
    ...linkFlags.map((flag) => `-Wl,${flag}`),
    ...units.map((name) => `native/${name}.cc`),
    "-o",
    "kernels.wasm",
  ];
  // The compiler always prints to the console how it reads its own files. This takes milliseconds.
  const log = console.log;
  console.log = () => {};
  try {
    const files = await runClang(command, treeOf(sources), { stdout: print, stderr: print });
    return files["kernels.wasm"];
  } catch (error) {
    throw new Error(`WebAssembly: the kernels do not compile\n${printed}${error.message}`);
  } finally {
    console.log = log;
  }
};

/** Builds the modules that are out of date. Resolves to a line for the user, or to undefined. */
export const buildWasm = async () => {
  const sources = sourcesUnder("native", [".h", ".cc"]).filter((file) => !file.startsWith("native/test/"));
  const hash = hashFiles([...sources, "scripts/build/wasm.mjs"]);
  const isBuilt = ({ file }) =>
    readStamp("wasm", join(folder, "kernels.wasm")) === hash && existsSync(join(folder, file));
  const wanted = modules.filter((module) => isWanted(module.set, process.env) && !isBuilt(module));
  // The program would refuse a module from other sources.
  for (const module of modules) if (!isBuilt(module)) rmSync(join(folder, module.file), { force: true });
  if (wanted.length === 0) return undefined;
  const started = performance.now();
  console.log(`WebAssembly: compiling for ${wanted.map(({ set }) => set).join(", ")}`);
  mkdirSync(folder, { recursive: true });
  for (const { file, flags: moduleFlags } of wanted) {
    const temporary = join(folder, `${file}.${process.pid}.tmp`);
    writeFileSync(temporary, await compile(moduleFlags, sources));
    renameSync(temporary, join(folder, file));
  }
  writeStamp("wasm", hash);
  return `WebAssembly: built in ${secondsSince(started)}`;
};

if (isMain(import.meta.url)) {
  try {
    const line = await buildWasm();
    if (line !== undefined) console.log(line);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
