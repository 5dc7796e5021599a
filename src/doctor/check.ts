/** The form of a check, and of its result. */
import { ForetokenError } from "../core/errors/errors.ts";
import { oneLine } from "../core/text/one-line.ts";

/**
 * How a check ended. `warning`: something is missing or slow, and all results are right all the same; `skipped`: it cannot be
 * made here, for the reason in the fact.
 */
export type CheckStatus = "ok" | "warning" | "failed" | "skipped";

/** The result of a check. */
export interface Verdict {
  readonly status: CheckStatus;
  /** The observation, in a few words. */
  readonly fact: string;
  /** What the user can do; null where there is nothing to do. */
  readonly advice: string | null;
}

/** A check of one thing. */
export interface Check {
  /** The thing, as "gradients". */
  readonly name: string;
  /** The backend that it looks at, as "native"; null: it looks at the machine or at files. */
  readonly backend: string | null;
  /** What to do where the check throws an error without a hint of its own. */
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

/** The verdict on a check that threw. */
const thrown = (error: unknown, advice: string): Verdict => {
  if (error instanceof ForetokenError) {
    const { where, must, got, hint } = error.details;
    return failed(oneLine(`${where}: ${must}${got === undefined ? "" : `; got ${got}`}`), oneLine(hint ?? advice));
  }
  return failed(oneLine(error instanceof Error ? error.message : String(error)), advice);
};

/** Makes a check; an error that it throws is a failed check. */
export const resultOf = async ({ name, backend, advice, run }: Check): Promise<CheckResult> => {
  const began = performance.now();
  const verdict = await run().catch((error: unknown) => thrown(error, advice));
  return { name, backend, ...verdict, seconds: (performance.now() - began) / 1000 };
};
