/**
 * Limit on the work of a constraint. A server receives constraints from unknown users, and a constraint that needs
 * minutes would block all other users. So the code counts steps in every algorithm that may need much time, and stops
 * at a limit. The limit counts steps, not milliseconds, so every machine accepts and refuses the same constraints.
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
 * Number of remaining steps for the current work. One variable is enough, because compiling and masks run
 * synchronously, one at a time. A typed array is used because it is fast.
 */
const left = Float64Array.of(Number.POSITIVE_INFINITY);

const hint = "fewer alternatives, shorter repetitions, or less nesting";

/**
 * Counts steps. @throws ConfigError if no steps are left. @param where the part of the constraint that needs the steps,
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
 * Runs work with a limit of `steps`. If the outer work has fewer steps left, the limit is the number of these steps.
 * @param where place for the error if the work is nested too deeply for the call stack.
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
