import { type BackendChoice, findAuto } from "../backend/select.node.ts";
import { ConfigError } from "../core/errors.ts";
import type { RunningFlags } from "./flags.ts";

export interface ChosenBackend {
  readonly backend: BackendChoice;
  /** Why it is this one, where the user left the choice to us. */
  readonly why: string | undefined;
  /** A line for standard error where the choice was ours and fell on another than the fastest there is. */
  readonly remark: string | undefined;
}

/** The backend that the flags ask for, by name. @throws ConfigError for threads that it does not have. */
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
