// Builds native/test as a plain program with the address and undefined-behaviour sanitizers, and again with the thread
// sanitizer, and runs both. Needs a compiler of this machine. A sanitizer that does not work here is skipped with the
// reason; with FORETOKEN_REQUIRE_NATIVE=1 it is an error when the compiler has the address sanitizer and it does not run.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./build-common.mjs";
import {
  commonFlags,
  compilableSets,
  execute,
  findCompiler,
  inParallel,
  isaDefines,
  tableDefines,
} from "./build-native.mjs";

const sanitizers = {
  address: ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
  thread: ["-fsanitize=thread"],
};
const tests = ["kernels", "elementwise", "layers", "rotary", "products", "attention"];

// What sanitizers say that could not even set themselves up: a matter of the machine, not of the program.
const notHere = /FATAL: ThreadSanitizer: [^\n]*mapping[^\n]*|LeakSanitizer has encountered a fatal error/;

const firstLine = (text) => text.trim().split("\n")[0];

/** Why the sanitizer cannot be used here, or undefined where a program that does nothing compiles and runs with it. */
const probe = async (compiler, name) => {
  const folder = join(root, "build/sanitized", name);
  mkdirSync(folder, { recursive: true });
  const source = join(folder, "empty.cc");
  const program = join(folder, "empty");
  writeFileSync(source, "int main() { return 0; }\n");
  try {
    await execute([...compiler, ...sanitizers[name], "-pthread", source, "-o", program]);
  } catch (error) {
    return { reason: `${compiler[0]} does not have it: ${firstLine(error.message)}`, compiles: false };
  }
  try {
    await execute([program]);
  } catch (error) {
    const reason = notHere.exec(error.message)?.[0] ?? firstLine(error.message);
    return { reason: `a program that does nothing fails with it: ${reason}`, compiles: true };
  }
  return undefined;
};

// Tiles are memory here: so every access to them is seen, and machines without them test the kernels too.
const buildAndRun = async (compiler, name) => {
  const folder = join(root, "build/sanitized", name);
  mkdirSync(folder, { recursive: true });
  const sets = await compilableSets(compiler);
  const units = [
    ...sets.map((set) => ({
      source: "native/isa.cc",
      object: join(folder, `isa-${set.name}.o`),
      flags: [...isaDefines(set), ...(set.emulated ?? set.flags)],
    })),
    ...tests.map((test) => ({
      source: `native/test/${test}_test.cc`,
      object: join(folder, `${test}_test.o`),
      flags: [],
    })),
    ...["parallel", "heap", "tables"].map((unit) => ({
      source: `native/${unit}.cc`,
      object: join(folder, `${unit}.o`),
      flags: unit === "tables" ? ["-DFT_EMULATED_TILES", ...tableDefines(sets)] : [],
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
  const unusable = await probe(compiler, name);
  if (unusable !== undefined) {
    console.log(`skipped: ${name} sanitizer: ${unusable.reason}`);
    if (name === "address" && unusable.compiles && process.env.FORETOKEN_REQUIRE_NATIVE === "1") process.exitCode = 1;
    continue;
  }
  try {
    console.log(`${name}:\n${await buildAndRun(compiler, name)}`);
  } catch (error) {
    // Whether the machine's layout of memory suits the thread sanitizer can differ from one start to the next.
    const reason = name === "thread" ? notHere.exec(error.message)?.[0] : undefined;
    if (reason !== undefined) {
      console.log(`skipped: ${name} sanitizer: ${reason}`);
      continue;
    }
    console.error(`${name}:\n${error.message}`);
    process.exitCode = 1;
  }
}
