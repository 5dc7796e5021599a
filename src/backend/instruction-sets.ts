/** The instruction sets of compiled kernels, and the choice of a backend. */

import { ConfigError, UnsupportedKernelError } from "../core/errors/errors.ts";
import type { ProductDType } from "../core/tensors/dtype.ts";

/** Sets of the native backend, each on machines that have it. */
export const nativeInstructionSets = ["amx", "avx512bf16", "avx512", "avx2", "baseline", "neon"] as const;

/** Whether a native set multiplies by tiles: FT_TILES in native/simd.h. */
export const hasTiles = (set: string): boolean => set === "amx";

/** Whether it has an instruction for bfloat16, and takes activations in it: FT_NARROW in native/simd.h. */
export const takesNarrow = (set: string): boolean => hasTiles(set) || set === "avx512bf16";

/** The dtype of the fastest products. `pairsAreFast`: a property of the CPU, see native/tables.h. */
export const fasterDtypeOf = (set: string, pairsAreFast: boolean): ProductDType =>
  hasTiles(set) || (takesNarrow(set) && pairsAreFast) ? "bfloat16" : "float32";

/**
 * Sets of the WebAssembly backend. `relaxed-simd` multiplies and adds in one instruction, rounded once, if the CPU has
 * one, else in two, rounded twice: results hold for one machine and engine. It is used only on request.
 */
export const wasmInstructionSets = ["simd128", "relaxed-simd"] as const;
export type WasmInstructionSet = (typeof wasmInstructionSets)[number];

/** Sets of the reference backend. */
export const referenceInstructionSets = ["javascript"] as const;

/** The source of a request for an instruction set: an option by its name, or the environment variable. */
export interface AskedInstructionSet {
  readonly by: "instructionSet" | "FORETOKEN_ISA";
  readonly name: string;
}

const refused = ({ by, name }: AskedInstructionSet, available: readonly string[]): ConfigError =>
  new ConfigError({
    where: by,
    must: "must name an instruction set that this machine and build have",
    got: name,
    hint: available.join(", "),
  });

const isOf = (names: readonly string[], name: string): boolean => names.includes(name);

const others = [
  { backend: "wasm", sets: wasmInstructionSets },
  { backend: "reference", sets: referenceInstructionSets },
] as const;

/** Sets that the machine could use but that are not compiled, and the command that compiles them. */
export interface NotCompiled {
  readonly names: readonly string[];
  readonly command: string;
}

/**
 * The native backend's choice among `available`, best first.
 *
 * @throws UnsupportedKernelError for a set of another backend
 * @throws ConfigError for any other that is not available
 */
export const chooseNative = (
  available: readonly string[],
  asked: AskedInstructionSet | undefined,
  notCompiled: NotCompiled,
): string => {
  if (asked === undefined) return available[0] as string;
  if (available.includes(asked.name)) return asked.name;
  if (notCompiled.names.includes(asked.name)) {
    throw new ConfigError({
      where: asked.by,
      must: "must name an instruction set that is compiled",
      got: asked.name,
      hint: `${available.join(", ")}, or FORETOKEN_BUILD_ISA=${asked.name} ${notCompiled.command} first`,
    });
  }
  const other = others.find(({ sets }) => isOf(sets, asked.name));
  if (other === undefined) throw refused(asked, available);
  throw new UnsupportedKernelError({
    where: "native backend",
    must: "it must have the instruction set that is asked for",
    got: asked.name,
    hint: `the ${other.backend} backend`,
  });
};

/**
 * The WebAssembly backend's choice. FORETOKEN_ISA may name a native set, which this backend ignores.
 *
 * @throws ConfigError for a set that it does not have
 */
export const chooseWasm = (asked: AskedInstructionSet | undefined): WasmInstructionSet => {
  if (asked === undefined) return "simd128";
  const own = wasmInstructionSets.find((name) => name === asked.name);
  if (own !== undefined) return own;
  if (asked.by === "FORETOKEN_ISA" && isOf(nativeInstructionSets, asked.name)) return "simd128";
  throw refused(asked, wasmInstructionSets);
};

/** @throws ConfigError for an option that names any set but the reference backend's own */
export const checkReference = (asked: string | undefined): void => {
  if (asked === undefined || isOf(referenceInstructionSets, asked)) return;
  throw refused({ by: "instructionSet", name: asked }, referenceInstructionSets);
};
