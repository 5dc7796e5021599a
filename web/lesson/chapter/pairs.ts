/** Shifted pairs: from a window of T + 1 characters come T examples. */

export interface Window {
  /** All but the last. */
  readonly x: readonly string[];
  /** All but the first: below each character of x stands the one that comes next. */
  readonly y: readonly string[];
}

export interface Example {
  readonly sees: readonly string[];
  readonly isAskedFor: string;
}

/** The largest place where a window of `time` pairs may begin. */
export const lastStart = (characters: number, time: number): number => Math.max(0, characters - time - 1);

/** The window of `time` pairs from `start` on, moved to where it fits. */
export const windowAt = (characters: readonly string[], start: number, time: number): Window => {
  const from = Math.max(0, Math.min(start, lastStart(characters.length, time)));
  const cut = characters.slice(from, from + time + 1);
  return { x: cut.slice(0, -1), y: cut.slice(1) };
};

/** One for each position: what it sees, and what it is asked for. */
export const examplesOf = ({ x, y }: Window): readonly Example[] =>
  y.map((isAskedFor, t) => ({ sees: x.slice(0, t + 1), isAskedFor }));
