import { type BackendChoice, findAuto } from "../../backend/select.node.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import type { RunningFlags } from "./flags.ts";

export interface ChosenBackend {
  readonly backend: BackendChoice;
  /** Reason for the choice, if the user left it to us. */
  readonly why: string | undefined;
  /** A line for standard error, if our choice is not the fastest backend. */
  readonly remark: string | undefined;
}

/** The backend of the flags, by name. @throws ConfigError for a number of threads that it does not have. */
export const chooseBackend = async ({ backend, threads }: RunningFlags): Promise<ChosenBackend> => {
  if (backend === "reference" && threads !== undefined && threads > 1) {
    throw new ConfigError({
      where: "--threads",
      must: "must be 1 with --backend reference, which has one thread",
      got: String(threads),
      hint: "--backend wasm",
    });
  }
  if (backend !== "auto") return { backend, why: undefined, remark: undefined };
  const { name, why } = await findAuto();
  return { backend: name, why, remark: name === "native" ? undefined : `backend ${name}: ${why}` };
};
