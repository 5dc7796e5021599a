/** Shifted pairs: a window of T + 1 characters gives T examples. */

export interface Window {
  /** All characters except the last. */
  readonly x: readonly string[];
  /** All characters except the first. Below each character of x is the next character. */
  readonly y: readonly string[];
}

export interface Example {
  readonly sees: readonly string[];
  readonly isAskedFor: string;
}

/** Maximum start of a window with `time` pairs. */
export const lastStart = (characters: number, time: number): number => Math.max(0, characters - time - 1);

/** Window with `time` pairs that begins at `start`. If it would extend beyond the text, it begins earlier. */
export const windowAt = (characters: readonly string[], start: number, time: number): Window => {
  const from = Math.max(0, Math.min(start, lastStart(characters.length, time)));
  const cut = characters.slice(from, from + time + 1);
  return { x: cut.slice(0, -1), y: cut.slice(1) };
};

/** Example of each position: the characters it sees, and the character it must predict. */
export const examplesOf = ({ x, y }: Window): readonly Example[] =>
  y.map((isAskedFor, t) => ({ sees: x.slice(0, t + 1), isAskedFor }));
