/** Instruction sets of compiled kernels, and how a backend chooses one. */

import { ConfigError, UnsupportedKernelError } from "../core/errors/errors.ts";
import type { ProductDType } from "../core/tensors/dtype.ts";

/** Instruction sets of the native backend. The machine must support the chosen instruction set. */
export const nativeInstructionSets = ["amx", "avx512bf16", "avx512", "avx2", "baseline", "neon"] as const;

/** Whether a native instruction set multiplies with tiles: FT_TILES in native/simd.h. */
export const hasTiles = (set: string): boolean => set === "amx";

/**
 * Whether a native instruction set has an instruction for bfloat16 and stores activations as bfloat16: FT_NARROW in
 * native/simd.h.
 */
export const takesNarrow = (set: string): boolean => hasTiles(set) || set === "avx512bf16";

/** The number format with the fastest products. `pairsAreFast` is a property of the CPU; see native/tables.h. */
export const fasterDtypeOf = (set: string, pairsAreFast: boolean): ProductDType =>
  hasTiles(set) || (takesNarrow(set) && pairsAreFast) ? "bfloat16" : "float32";

/**
 * Instruction sets of the WebAssembly backend. With `relaxed-simd`, a CPU that can multiply and add in one instruction
 * rounds once. Other CPUs use two instructions and round twice. The results of `relaxed-simd` therefore depend on the
 * CPU and the JavaScript engine, so it is used only on request.
 */
export const wasmInstructionSets = ["simd128", "relaxed-simd"] as const;
export type WasmInstructionSet = (typeof wasmInstructionSets)[number];

/** Instruction sets of the reference backend. */
export const referenceInstructionSets = ["javascript"] as const;

/** A requested instruction set, and who requested it: the option or the environment variable. */
export interface AskedInstructionSet {
  readonly by: "instructionSet" | "FORETOKEN_ISA";
  readonly name: string;
}

const refused = ({ by, name }: AskedInstructionSet, available: readonly string[]): ConfigError =>
  new ConfigError({
    where: by,
    must: "must name an instruction set that this machine and this build support",
    got: name,
    hint: available.join(", "),
  });

const isOf = (names: readonly string[], name: string): boolean => names.includes(name);

const others = [
  { backend: "wasm", sets: wasmInstructionSets },
  { backend: "reference", sets: referenceInstructionSets },
] as const;

/** Instruction sets that the machine supports but that are not compiled, and the command that compiles them. */
export interface NotCompiled {
  readonly names: readonly string[];
  readonly command: string;
}

/**
 * Chooses the native backend's instruction set from `available`, which is sorted from best to worst.
 * @throws UnsupportedKernelError for an instruction set of another backend
 * @throws ConfigError for any other instruction set that is not available
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
    must: "the backend must support the requested instruction set",
    got: asked.name,
    hint: `the ${other.backend} backend`,
  });
};

/**
 * Chooses the WebAssembly backend's instruction set. A native instruction set in FORETOKEN_ISA is ignored.
 * @throws ConfigError for an instruction set that the WebAssembly backend does not have
 */
export const chooseWasm = (asked: AskedInstructionSet | undefined): WasmInstructionSet => {
  if (asked === undefined) return "simd128";
  const own = wasmInstructionSets.find((name) => name === asked.name);
  if (own !== undefined) return own;
  if (asked.by === "FORETOKEN_ISA" && isOf(nativeInstructionSets, asked.name)) return "simd128";
  throw refused(asked, wasmInstructionSets);
};

/** @throws ConfigError for an option that names an instruction set of another backend */
export const checkReference = (asked: string | undefined): void => {
  if (asked === undefined || isOf(referenceInstructionSets, asked)) return;
  throw refused({ by: "instructionSet", name: asked }, referenceInstructionSets);
};
