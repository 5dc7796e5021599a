import type { AskedInstructionSet } from "./instruction-sets.ts";

/**
 * The requested instruction set: the value of the option, or of the environment variable FORETOKEN_ISA if the option is
 * absent.
 */
export const askedInstructionSet = (option: string | undefined): AskedInstructionSet | undefined => {
  if (option !== undefined) return { by: "instructionSet", name: option };
  const name = process.env.FORETOKEN_ISA;
  return name === undefined || name === "" ? undefined : { by: "FORETOKEN_ISA", name };
};
