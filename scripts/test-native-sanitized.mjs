// Builds native/test as a plain program with the address and undefined-behaviour sanitizers, and again with the thread
// sanitizer, and runs both. Needs a compiler of this machine.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "./build-common.mjs";
import { commonFlags, execute, findCompiler, inParallel, instructionSets, isaDefines } from "./build-native.mjs";

const sanitizers = {
  address: ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
  thread: ["-fsanitize=thread"],
};
const tests = ["kernels", "elementwise", "layers", "products", "attention"];

const buildAndRun = async (compiler, name) => {
  const folder = join(root, "build/sanitized", name);
  mkdirSync(folder, { recursive: true });
  const units = [
    ...instructionSets[process.arch].map((set) => ({
      source: "native/isa.cc",
      object: join(folder, `isa-${set.name}.o`),
      flags: [...isaDefines(set), ...set.flags],
    })),
    ...tests.map((test) => ({
      source: `native/test/${test}_test.cc`,
      object: join(folder, `${test}_test.o`),
      flags: [],
    })),
    ...["parallel", "heap", "tables"].map((unit) => ({
      source: `native/${unit}.cc`,
      object: join(folder, `${unit}.o`),
      flags: [],
    })),
  ];
  // Optimised little, so that reports name lines; with run-time type information, which the vptr check reads.
  const flags = [...commonFlags.filter((flag) => !["-O3", "-fno-rtti"].includes(flag)), "-O1", "-g", "-pthread"];
  await inParallel(
    units.map(
      ({ source, object, flags: own }) =>
        () =>
          execute([...compiler, ...flags, ...sanitizers[name], ...own, "-c", source, "-o", object]),
    ),
  );
  const program = join(folder, "kernels_test");
  await execute([...compiler, ...sanitizers[name], "-pthread", ...units.map(({ object }) => object), "-o", program]);
  return execute([program]);
};

const compiler = findCompiler();
if (compiler === undefined) {
  console.log("skipped: the sanitizers need a C++ compiler (set CXX or put one on the path)");
  process.exit(process.env.FORETOKEN_REQUIRE_NATIVE === "1" ? 1 : 0);
}
const chosen = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(sanitizers);
for (const name of chosen) {
  if (!(name in sanitizers)) throw new Error(`no such sanitizer: ${name}; try ${Object.keys(sanitizers).join(", ")}`);
  try {
    console.log(`${name}:\n${await buildAndRun(compiler, name)}`);
  } catch (error) {
    console.error(`${name}:\n${error.message}`);
    process.exitCode = 1;
  }
}
