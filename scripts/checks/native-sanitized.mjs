// Builds native/test as a plain program with the address and undefined-behaviour sanitizers, and again with the thread
// sanitizer, and runs both. Needs a compiler of this machine. A sanitizer that does not work here is skipped with the
// reason; with FORETOKEN_REQUIRE_NATIVE=1 it is an error when the compiler has the address sanitizer and it does not run.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../build/common.mjs";
import {
  commonFlags,
  compilableSets,
  execute,
  findCompiler,
  inParallel,
  tableDefines,
  unitsOfSet,
} from "../build/native.mjs";
import { nativeTests, nativeUnits } from "./native-tests.mjs";

// Per sanitizer: the compiler's flags, the instruction sets, and the program's arguments.
const sanitizers = {
  // The address sanitizer itself finds null pointers and accesses past an object.
  address: {
    flags: ["-fsanitize=address,undefined", "-fno-sanitize=null,object-size", "-fno-sanitize-recover=all"],
    of: (sets) => sets,
    told: [],
  },
  // What threads share is shared alike in all sets, which are one source, but for tiles: so the set that any machine
  // has, and the one with tiles. What a single thread does is the address sanitizer's.
  thread: { flags: ["-fsanitize=thread"], of: (sets) => [...new Set([sets[0], sets.at(-1)])], told: ["races"] },
};

// Messages of sanitizers that could not start: a matter of the machine, not of the program.
const notHere = /FATAL: ThreadSanitizer: [^\n]*mapping[^\n]*|LeakSanitizer has encountered a fatal error/;

const firstLine = (text) => text.trim().split("\n")[0];

const folderOf = (name) => join(root, "build/sanitized", name);

/** Why the sanitizer cannot be used here; undefined if an empty program compiles and runs with it. */
const probe = async (compiler, name) => {
  const folder = folderOf(name);
  mkdirSync(folder, { recursive: true });
  const source = join(folder, "empty.cc");
  const program = join(folder, "empty");
  writeFileSync(source, "int main() { return 0; }\n");
  try {
    await execute([...compiler, ...sanitizers[name].flags, "-pthread", source, "-o", program]);
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
const unitsOf = (name, sets) => [
  ...sets.flatMap((set) =>
    unitsOfSet(set).map((unit) => ({
      source: unit.source,
      object: join(folderOf(name), `${unit.name}.o`),
      flags: [...unit.flags, ...(set.emulated ?? set.flags)],
      // The sets with more flags have more to compile.
      cost: 1 + set.flags.length,
    })),
  ),
  ...nativeTests.map((test) => ({
    source: `native/test/${test}_test.cc`,
    object: join(folderOf(name), `${test}_test.o`),
    flags: [],
    cost: 0,
  })),
  ...nativeUnits.map((unit) => ({
    source: `native/${unit}.cc`,
    object: join(folderOf(name), `${unit}.o`),
    flags: unit === "tables" ? ["-DFT_EMULATED_TILES", ...tableDefines(sets)] : [],
    cost: 0,
  })),
];

/**
 * Builds the programs of the sanitizers `names`, the longest compilations of all first. Resolves to their paths by
 * name.
 */
const build = async (compiler, names) => {
  const sets = await compilableSets(compiler);
  // Optimised little, so that reports name lines; with run-time type information, which the vptr check reads. Nothing is
  // forced inline: with every access checked that makes minutes of compilation.
  const kept = commonFlags.filter((flag) => !["-O3", "-fno-rtti"].includes(flag));
  const flags = [...kept, "-O1", "-g1", "-DFT_INLINE=static inline", "-pthread"];
  const units = names.flatMap((name) => {
    const { flags: sanitizing, of } = sanitizers[name];
    return unitsOf(name, of(sets)).map((unit) => ({ ...unit, name, flags: [...flags, ...sanitizing, ...unit.flags] }));
  });
  units.sort((a, b) => b.cost - a.cost);
  await inParallel(
    units.map(
      ({ source, object, flags }) =>
        () =>
          execute([...compiler, ...flags, "-c", source, "-o", object]),
    ),
  );
  const programs = {};
  for (const name of names) {
    const objects = units.filter((unit) => unit.name === name).map(({ object }) => object);
    programs[name] = join(folderOf(name), "kernels_test");
    await execute([...compiler, ...sanitizers[name].flags, "-pthread", ...objects, "-o", programs[name]]);
  }
  return programs;
};

const compiler = findCompiler();
if (compiler === undefined) {
  console.log("skipped: the sanitizers need a C++ compiler (set CXX or put one on the path)");
  process.exit(process.env.FORETOKEN_REQUIRE_NATIVE === "1" ? 1 : 0);
}
const chosen = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(sanitizers);
const skipped = new Map();
for (const name of chosen) {
  if (!(name in sanitizers)) throw new Error(`no such sanitizer: ${name}; try ${Object.keys(sanitizers).join(", ")}`);
  const unusable = await probe(compiler, name);
  if (unusable === undefined) continue;
  skipped.set(name, unusable.reason);
  if (name === "address" && unusable.compiles && process.env.FORETOKEN_REQUIRE_NATIVE === "1") process.exitCode = 1;
}
const usable = chosen.filter((name) => !skipped.has(name));
const programs = await build(compiler, usable).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
const ends = await Promise.allSettled(usable.map((name) => execute([programs[name], ...sanitizers[name].told])));
for (const name of chosen) {
  const end = ends[usable.indexOf(name)];
  // Whether the machine's layout of memory suits the thread sanitizer can differ from one start to the next.
  const reason = name === "thread" && end?.status === "rejected" ? notHere.exec(end.reason.message)?.[0] : undefined;
  if (end === undefined || reason !== undefined) {
    console.log(`skipped: ${name} sanitizer: ${skipped.get(name) ?? reason}`);
  } else if (end.status === "fulfilled") {
    console.log(`${name}:\n${end.value}`);
  } else {
    console.error(`${name}:\n${end.reason.message}`);
    process.exitCode = 1;
  }
}
