import { type BackendChoice, findAuto } from "../../backend/select.node.ts";
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

/** Chooses the backend from the flags. @throws ConfigError if the backend does not support this number of threads. */
export const chooseBackend = async ({ backend, threads }: RunningFlags): Promise<ChosenBackend> => {
  if (backend === "reference" && threads !== undefined && threads > 1) {
    throw new ConfigError({
      where: "--threads",
      must: "must be 1 with --backend reference, which has one thread",
      got: String(threads),
      hint: "--backend wasm",
    });
  }
  if (backend !== "auto") return { backend, why: undefined, advice: undefined, remark: undefined };
  const { name, why, advice } = await findAuto();
  if (advice === undefined) return { backend: name, why, advice, remark: undefined };
  return { backend: name, why: "the fastest that is installed", advice, remark: `backend ${name}: ${advice}` };
};
