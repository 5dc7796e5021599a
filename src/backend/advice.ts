/** Decides whether to tell users how to get native kernels. */
import { type AskedInstructionSet, nativeInstructionSets } from "./instruction-sets.ts";

/** Whether native kernels are missing or load on this machine. */
export interface NativeState {
  /** How to get native kernels. Undefined if they are installed, hidden, or not available for this kind of machine. */
  readonly advice: string | undefined;
  /** Whether they load. */
  readonly loads: boolean;
}

/**
 * Advice to print when another backend is used. Undefined if there is no advice. A user who requests an instruction set
 * that native kernels lack has chosen to do without native kernels. FORETOKEN_ISA=relaxed-simd is the exception: users
 * request it for speed, and native kernels are faster.
 */
export const adviceFor = (asked: AskedInstructionSet | undefined, state: () => NativeState): string | undefined => {
  if (asked === undefined || nativeInstructionSets.some((set) => set === asked.name)) return state().advice;
  if (asked.by !== "FORETOKEN_ISA" || asked.name !== "relaxed-simd") return undefined;
  const { advice, loads } = state();
  const without = "are used if you remove FORETOKEN_ISA=relaxed-simd";
  if (loads) return `several times slower than native kernels, which ${without}`;
  return advice === undefined ? undefined : `${advice}; they ${without}`;
};
