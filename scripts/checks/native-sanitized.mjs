// Builds native/test as a plain program: once with the address and undefined-behaviour sanitizers, and once with the
// thread sanitizer. Executes both programs. Needs a C++ compiler. A sanitizer that does not work on this machine is
// skipped, and the reason is printed. With FORETOKEN_REQUIRE_NATIVE=1, it is an error if the compiler has the address
// sanitizer but the sanitizer does not work.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../build/common.mjs";
import {
  commonFlags,
  compilableSets,
  execute,
  findCompiler,
  inParallel,
  isaDefines,
  runnableSets,
  tableDefines,
  unitsOfSet,
} from "../build/native.mjs";
import { nativeTests, nativeUnits } from "./native-tests.mjs";

const namesOf = (sets) => sets.map(({ name }) => name);

// For each sanitizer: compiler flags, instruction sets out of those that this CPU can run, and arguments of the program.
const sanitizers = {
  // The address sanitizer itself finds null pointers and accesses outside of an object.
  address: {
    flags: ["-fsanitize=address,undefined", "-fno-sanitize=null,object-size", "-fno-sanitize-recover=all"],
    // avx512 has the vectors of avx512bf16 and the products of bytes of avx2, so these two test all of its source.
    of: (sets) => sets.filter(({ name }) => name !== "avx512" || !namesOf(sets).includes("avx512bf16")),
    told: [],
  },
  // All sets without tiles have the same source, so threads share data in the same way. So one of these sets is enough
  // for the thread sanitizer, and the tiles. The address sanitizer finds the errors that need only one thread.
  thread: {
    flags: ["-fsanitize=thread"],
    of: (sets) => (namesOf(sets).includes("amx") ? sets.slice(-2) : sets.slice(-1)),
    told: ["races"],
  },
};

// Messages of a sanitizer that cannot start because of the machine, not because of the program.
const notHere = /FATAL: ThreadSanitizer: [^\n]*mapping[^\n]*|LeakSanitizer has encountered a fatal error/;

const firstLine = (text) => text.trim().split("\n")[0];

const folderOf = (name) => join(root, "build/sanitized", name);

/** The reason why the sanitizer cannot be used here; undefined if an empty program compiles and runs with it. */
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

/**
 * The sets that this CPU can run. Tiles are emulated in memory, so the sanitizer checks every access to them, and these
 * kernels are also tested on CPUs that have all of the set but tiles. If the CPU cannot be asked, all sets are tested.
 */
const testedSets = async (compiler) => {
  const sets = await compilableSets(compiler);
  const runnable = await runnableSets(compiler).catch(() => []);
  const tested = sets.filter(
    ({ name, emulated }, i) => runnable.includes(name) || (emulated && runnable.includes(sets[i - 1]?.name)),
  );
  return tested.length === 0 ? sets : tested;
};

// For a set with tiles, only the source that uses tiles is compiled, with its own table of kernels. All other kernels have
// the source of the set before it.
const unitsOfTested = (set, below) =>
  set.emulated === undefined
    ? unitsOfSet(set)
    : [
        ...unitsOfSet(set).filter(({ source }) => source !== "native/isa.cc"),
        {
          name: `isa-${set.name}`,
          source: "native/test/tiles_table.cc",
          flags: [...isaDefines(set), `-DFT_BELOW=${below.name}`],
        },
      ];

// `isTested`: the sanitizer checks this source. The tests compute in double what the kernels must give. With a sanitizer
// this would take longer than the kernels, and it would find no error of theirs. Only the first test starts threads.
const unitsOf = (name, sets) => [
  ...sets.flatMap((set, i) =>
    unitsOfTested(set, sets[i - 1]).map((unit) => ({
      source: unit.source,
      object: join(folderOf(name), `${unit.name}.o`),
      flags: [...unit.flags, ...(set.emulated ?? set.flags)],
      // An instruction set with more flags takes longer to compile.
      cost: 1 + set.flags.length,
      isTested: true,
    })),
  ),
  ...nativeTests.map((test, i) => ({
    source: `native/test/${test}_test.cc`,
    object: join(folderOf(name), `${test}_test.o`),
    flags: [],
    cost: 0,
    isTested: i === 0,
  })),
  ...nativeUnits.map((unit) => ({
    source: `native/${unit}.cc`,
    object: join(folderOf(name), `${unit}.o`),
    flags: unit === "tables" ? ["-DFT_EMULATED_TILES", ...tableDefines(sets)] : [],
    cost: 0,
    isTested: true,
  })),
];

/** Builds the programs of the sanitizers `names`, longest compilations first. Resolves to their paths by name. */
const build = async (compiler, names) => {
  const sets = await testedSets(compiler);
  // Optimisation is low, so that reports contain line numbers. The vptr check needs run-time type information. Forced
  // inlining is off. Every access is checked, so inlined code would take minutes to compile.
  const kept = commonFlags.filter((flag) => !["-O3", "-fno-rtti"].includes(flag));
  const flags = [...kept, "-pthread"];
  const units = names.flatMap((name) => {
    const sanitizing = ["-O1", "-g1", "-DFT_INLINE=static inline", ...sanitizers[name].flags];
    return unitsOf(name, sanitizers[name].of(sets)).map((unit) => ({
      ...unit,
      name,
      flags: [...flags, ...(unit.isTested ? sanitizing : ["-O2"]), ...unit.flags],
    }));
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
  // The memory layout changes from one start to the next. With one layout the thread sanitizer may work, with another
  // it may fail.
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
