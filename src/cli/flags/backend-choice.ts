import type { BackendChoice } from "../../backend/choices.node.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import type { RunningFlags } from "./flags.ts";

export interface ChosenBackend {
  readonly backend: BackendChoice;
  /** Reason for the choice. Undefined if the user named the backend. */
  readonly why: string | undefined;
  /** Advice for getting native kernels. Undefined if this machine already has native kernels, or cannot have them. */
  readonly advice: string | undefined;
  /** The advice as a line for standard error. */
  readonly remark: string | undefined;
}

/** @throws ConfigError if the backend does not support this number of threads. */
export const checkThreadsOf = ({ backend, threads }: RunningFlags): void => {
  if (backend === "reference" && threads !== undefined && threads > 1) {
    throw new ConfigError({
      where: "--threads",
      must: "must be 1 with --backend reference, which has one thread",
      got: String(threads),
      hint: "--backend wasm",
    });
  }
};

/** Chooses the backend from the flags. @throws ConfigError if the backend does not support this number of threads. */
export const chooseBackend = async (flags: RunningFlags): Promise<ChosenBackend> => {
  checkThreadsOf(flags);
  const { backend } = flags;
  if (backend !== "auto") return { backend, why: undefined, advice: undefined, remark: undefined };
  // The module is imported only here, because a thread that loads a model chooses its backend itself.
  const { findAuto } = await import("../../backend/select.node.ts");
  const { name, why, advice } = await findAuto();
  if (advice === undefined) return { backend: name, why, advice, remark: undefined };
  return { backend: name, why: "the fastest that is installed", advice, remark: `backend ${name}: ${advice}` };
};
