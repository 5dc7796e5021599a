/** Decides whether to tell users how to get native kernels. */
import { type AskedInstructionSet, nativeInstructionSets } from "./instruction-sets.ts";

/** Facts about the native kernels on this machine. */
export interface NativeState {
  /**
   * Tells the user how to get native kernels. Undefined if they are installed, hidden, or not available for this kind
   * of machine.
   */
  readonly advice: string | undefined;
  /** Whether native kernels load. */
  readonly loads: boolean;
}

/**
 * Advice to print when a backend other than `native` is used. Undefined if there is no advice. A user gets no advice
 * after requesting an instruction set that native kernels lack, because this user has decided against native kernels.
 * FORETOKEN_ISA=relaxed-simd is the exception: users request it for speed, and native kernels are faster.
 */
export const adviceFor = (asked: AskedInstructionSet | undefined, state: () => NativeState): string | undefined => {
  if (asked === undefined || nativeInstructionSets.some((set) => set === asked.name)) return state().advice;
  if (asked.by !== "FORETOKEN_ISA" || asked.name !== "relaxed-simd") return undefined;
  const { advice, loads } = state();
  const without = "are used if you remove FORETOKEN_ISA=relaxed-simd";
  if (loads) return `several times slower than native kernels, which ${without}`;
  return advice === undefined ? undefined : `${advice}; they ${without}`;
};
