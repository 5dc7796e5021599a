/**
 * The work that a constraint may take. Constraints come from strangers in a server, where one that computes for minutes would hold up
 * all others: so the places whose work may grow out of proportion count their steps, and the count has an end. Steps and no
 * milliseconds, so that a constraint is refused on each machine or on none.
 */
import { ConfigError } from "../../core/errors/errors.ts";

/** Steps of compiling: at most about a second. None of each third schema of jsonschemabench needs so many. */
export const compileSteps = 8_000_000;

/** Steps of one mask, or one token. */
export const maskSteps = 4_000_000;

/** Steps that are left of the work that runs now: compiling and masks run without a pause, one at a time. An array, as it is fast. */
const left = Float64Array.of(Number.POSITIVE_INFINITY);

const hint = "fewer alternatives, shorter repetitions, or less nesting";

/** @throws ConfigError where the work has no steps left. @param where the part of the constraint that takes them. */
export const spend = (steps: number, where: string): void => {
  const rest = (left[0] as number) - steps;
  left[0] = rest;
  if (rest >= 0) return;
  throw new ConfigError({
    where,
    must: "must be simple enough to be computed within a second",
    got: "one that is not",
    hint,
  });
};

/**
 * Runs work that may take so many steps, and no more than the work around it has left.
 * @param where what an error names, if the work has too many levels for the stack.
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
      must: "must not be nested so deep",
      got: "more levels than fit on the stack",
      hint,
      cause,
    });
  } finally {
    left[0] = outer - (own - (left[0] as number));
  }
};
