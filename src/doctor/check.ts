/** Types of checks and their results. */
import { ForetokenError } from "../core/errors/errors.ts";
import { oneLine } from "../core/text/one-line.ts";

/**
 * Status of a check. `warning`: something is missing or slow, but all results are right. `skipped`: the check is not
 * possible here, for the reason in the fact.
 */
export type CheckStatus = "ok" | "warning" | "failed" | "skipped";

/** Result of a check. */
export interface Verdict {
  readonly status: CheckStatus;
  /** The observed fact, in a few words. */
  readonly fact: string;
  /** Advice for the user, or null if no action is needed. */
  readonly advice: string | null;
}

/** A single check. */
export interface Check {
  /** Name of the check, such as "gradients". */
  readonly name: string;
  /** The checked backend, such as "native". Null for checks of the machine or of files. */
  readonly backend: string | null;
  /** Advice for an error that has no hint of its own. */
  readonly advice: string;
  run(): Promise<Verdict>;
}

/** A finished check. */
export interface CheckResult extends Verdict {
  readonly name: string;
  readonly backend: string | null;
  readonly seconds: number;
}

export const ok = (fact: string): Verdict => ({ status: "ok", fact, advice: null });
export const warning = (fact: string, advice: string): Verdict => ({ status: "warning", fact, advice });
export const failed = (fact: string, advice: string): Verdict => ({ status: "failed", fact, advice });
export const skipped = (fact: string): Verdict => ({ status: "skipped", fact, advice: null });

/** Result for a check that threw an error. */
const thrown = (error: unknown, advice: string): Verdict => {
  if (error instanceof ForetokenError) {
    const { where, must, got, hint } = error.details;
    return failed(oneLine(`${where}: ${must}${got === undefined ? "" : `; got ${got}`}`), oneLine(hint ?? advice));
  }
  return failed(oneLine(error instanceof Error ? error.message : String(error)), advice);
};

/** Runs a check. If the check throws an error, it has failed. */
export const resultOf = async ({ name, backend, advice, run }: Check): Promise<CheckResult> => {
  const began = performance.now();
  const verdict = await run().catch((error: unknown) => thrown(error, advice));
  return { name, backend, ...verdict, seconds: (performance.now() - began) / 1000 };
};
