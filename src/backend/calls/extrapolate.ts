import type { RecordedCalls } from "../backend.ts";

/** The calls of a step at any position. */
export interface Extrapolation {
  /** Overwritten by the next call. */
  at(position: number): RecordedCalls;
}

/**
 * The calls of a step at any position, from the calls at positions 0 and 1. All numbers in them must be linear in the
 * position: the offset of a row in a cache, the number of keys.
 */
export const extrapolate = (first: RecordedCalls, second: RecordedCalls): Extrapolation => {
  const { owner, numbers: from } = first;
  const { numbers: to } = second;
  if (owner !== second.owner || from.length !== to.length) throw new Error("every step must make the same calls");
  const calls = { owner, numbers: from.slice() };
  const changing: { readonly index: number; readonly start: number; readonly slope: number }[] = [];
  from.forEach((start, index) => {
    const slope = (to[index] as number) - start;
    if (slope !== 0) changing.push({ index, start, slope });
  });
  return {
    at(position) {
      for (const { index, start, slope } of changing) calls.numbers[index] = start + position * slope;
      return calls;
    },
  };
};
