import type { RecordedCalls } from "./backend.ts";

/** Noted calls of a step, and the position that it was made at. */
export interface RecordedAt {
  readonly position: number;
  readonly calls: RecordedCalls;
}

/** The calls of a step at any position. */
export interface Extrapolation {
  /** Overwritten by the next call. */
  at(position: number): RecordedCalls;
}

/**
 * The calls of a step at any position from those of two successive ones. It must be so that all numbers in them are
 * linear in the position: the offset of a row in a cache, the number of keys.
 */
export const extrapolate = (earlier: RecordedAt, later: RecordedAt): Extrapolation => {
  const { owner, numbers: from } = earlier.calls;
  const { numbers: to } = later.calls;
  if (owner !== later.calls.owner || from.length !== to.length || later.position !== earlier.position + 1)
    throw new Error("two successive steps must make the same calls");
  const calls = { owner, numbers: from.slice() };
  const changing = [...from.keys()].filter((i) => from[i] !== to[i]);
  return {
    at(position) {
      const steps = position - earlier.position;
      for (const i of changing) {
        const first = from[i] as number;
        calls.numbers[i] = first + steps * ((to[i] as number) - first);
      }
      return calls;
    },
  };
};
