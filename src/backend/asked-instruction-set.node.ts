import type { AskedInstructionSet } from "./instruction-sets.ts";

/** The requested instruction set: the option if it is given, otherwise the environment variable FORETOKEN_ISA. */
export const askedInstructionSet = (option: string | undefined): AskedInstructionSet | undefined => {
  if (option !== undefined) return { by: "instructionSet", name: option };
  const name = process.env.FORETOKEN_ISA;
  return name === undefined || name === "" ? undefined : { by: "FORETOKEN_ISA", name };
};
