// Builds native/test for 64-bit Arm, and executes it in an emulator. So NEON kernels are also tested on machines
// without Arm. Needs a cross compiler and an emulator (Debian's g++-aarch64-linux-gnu and qemu-user). If one of these
// programs is missing, the check is skipped and prints the reason. With FORETOKEN_REQUIRE_NEON=1, this is an error. An
// Arm machine tests NEON without an emulator.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "../build/common.mjs";
import { commonFlags, execute, inParallel, instructionSets, tableDefines, unitsOfSet } from "../build/native.mjs";
import { nativeTests, nativeUnits } from "./native-tests.mjs";

const compiler = ["aarch64-linux-gnu-g++"];
const emulator = ["qemu-aarch64"];

/** The reason why the command cannot be used; undefined if it can. */
const probe = (command) =>
  execute([...command, "--version"]).then(
    () => undefined,
    (error) => `${command[0]}: ${error.message.trim().split("\n")[0]}`,
  );

/** Resolves to the program's path. */
const build = async () => {
  const folder = join(root, "build/neon");
  mkdirSync(folder, { recursive: true });
  const [neon] = instructionSets.arm64;
  const units = [
    ...unitsOfSet(neon).map((unit) => ({ ...unit, flags: [...unit.flags, ...neon.flags] })),
    ...nativeTests.map((test) => ({ name: `${test}_test`, source: `native/test/${test}_test.cc`, flags: [] })),
    ...nativeUnits.map((unit) => ({
      name: unit,
      source: `native/${unit}.cc`,
      flags: unit === "tables" ? tableDefines([neon]) : [],
    })),
  ].map((unit) => ({ ...unit, object: join(folder, `${unit.name}.o`) }));
  await inParallel(
    units.map(
      ({ source, object, flags }) =>
        () =>
          execute([...compiler, ...commonFlags, "-pthread", ...flags, "-c", source, "-o", object]),
    ),
  );
  const program = join(folder, "kernels_test");
  // The program is linked statically, so that the emulator needs no Arm libraries.
  await execute([...compiler, "-static", "-pthread", ...units.map(({ object }) => object), "-o", program]);
  return program;
};

const missing = process.arch === "arm64" ? "this machine is one" : ((await probe(compiler)) ?? (await probe(emulator)));
if (missing !== undefined) {
  console.log(`skipped: NEON in an emulator: ${missing}`);
  process.exit(process.env.FORETOKEN_REQUIRE_NEON === "1" && process.arch !== "arm64" ? 1 : 0);
}
try {
  console.log(await execute([...emulator, await build()]));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
