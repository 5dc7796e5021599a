/** Whether users are told of native kernels that they could have. */
import { type AskedInstructionSet, nativeInstructionSets } from "./instruction-sets.ts";

/** How it stands with native kernels here. */
export interface NativeState {
  /** How to get them; undefined: they are there, hidden, or no machine of this kind has them. */
  readonly advice: string | undefined;
  /** Whether they load. */
  readonly loads: boolean;
}

/**
 * The advice where another backend computes; undefined: none is due. Who asks for an instruction set that native kernels lack
 * does without them; but relaxed-simd in FORETOKEN_ISA is asked for to be fast, which native kernels are more.
 */
export const adviceFor = (asked: AskedInstructionSet | undefined, state: () => NativeState): string | undefined => {
  if (asked === undefined || nativeInstructionSets.some((set) => set === asked.name)) return state().advice;
  if (asked.by !== "FORETOKEN_ISA" || asked.name !== "relaxed-simd") return undefined;
  const { advice, loads } = state();
  const without = "are taken without FORETOKEN_ISA=relaxed-simd";
  if (loads) return `several times slower than native kernels, which ${without}`;
  return advice === undefined ? undefined : `${advice}; they ${without}`;
};
