/** Tells users how to get native kernels, if `auto` could use native kernels that are missing. */

/** @param choice a backend by name. @param tell receives the line, if `choice` is "auto" or absent. */
export type Advise = (choice: unknown, tell?: (line: string) => unknown) => Promise<void>;

const isAuto = (choice: unknown): boolean => choice === undefined || choice === "auto";

/** The line for the user. Undefined if native kernels are in use, or not available for this machine. */
const adviceLine = async (): Promise<string | undefined> => {
  // Probing needs the native backend. A caller of a thread that loads a model can import it while the thread works.
  const { findAuto } = await import("./select.node.ts");
  const { name, advice } = await findAuto();
  return advice === undefined ? undefined : `backend ${name}: ${advice}`;
};

const warn = (line: string): void =>
  process.emitWarning(line, { type: "ForetokenWarning", code: "FORETOKEN_NO_NATIVE_KERNELS" });

/** Gives the advice at each call. Default of `tell`: a process warning, which Node prints on standard error. */
export const advise: Advise = async (choice, tell = warn) => {
  const line = isAuto(choice) ? await adviceLine() : undefined;
  if (line !== undefined) await tell(line);
};

/** Advice is given once per thread. */
let advised = false;

/** Gives the advice at most once per thread. */
export const adviseOnce: Advise = async (choice, tell = warn) => {
  if (advised || !isAuto(choice)) return;
  const line = await adviceLine();
  if (advised) return;
  advised = true;
  if (line !== undefined) await tell(line);
};
