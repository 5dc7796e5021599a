/**
 * Limit on the work of a constraint. A server gets constraints from unknown users, and a constraint that takes minutes
 * would block all other users. So the code counts steps wherever work may grow quickly, and stops at a limit. The limit
 * counts steps, not milliseconds, so every machine accepts and refuses the same constraints.
 */
import { ConfigError } from "../../core/errors/errors.ts";

/**
 * Maximum number of steps for compiling a constraint: about a second at most. A test compiled every third schema of
 * jsonschemabench; all of these schemas needed fewer steps.
 */
export const compileSteps = 8_000_000;

/** Maximum number of steps for one mask, or for one token. */
export const maskSteps = 4_000_000;

/**
 * Number of steps that the current work has left. One variable is enough, because compiling and masks run
 * synchronously, one at a time. It is a typed array because that is fast.
 */
const left = Float64Array.of(Number.POSITIVE_INFINITY);

const hint = "fewer alternatives, shorter repetitions, or less nesting";

/**
 * Counts steps. @throws ConfigError if no steps are left. @param where the part of the constraint that causes the work,
 * for errors.
 */
export const spend = (steps: number, where: string): void => {
  const rest = (left[0] as number) - steps;
  left[0] = rest;
  if (rest >= 0) return;
  throw new ConfigError({
    where,
    must: "must be simple enough to be computed within a second",
    got: "a constraint that takes longer",
    hint,
  });
};

/**
 * Runs work with a limit of `steps`. If the surrounding work has fewer steps left, that number is the limit.
 * @param where named in the error if the work is nested too deep for the call stack.
 */
export const within = <T>(steps: number, where: string, work: () => T): T => {
  const outer = left[0] as number;
  const own = Math.min(steps, outer);
  left[0] = own;
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new ConfigError({
      where,
      must: "must be nested less deeply",
      got: "more levels than fit on the call stack",
      hint,
      cause,
    });
  } finally {
    left[0] = outer - (own - (left[0] as number));
  }
};
