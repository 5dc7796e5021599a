/**
 * A set of code points as sorted ranges [from, to, from, to, …]. The ranges include both ends, and there is a gap
 * between two ranges.
 */
export type CharSet = readonly number[];

const last = 0x10ffff;

/** All characters. Halves of surrogate pairs are not characters. */
export const allChars: CharSet = [0, 0xd7ff, 0xe000, last];

/** Makes a set from ranges in any order. */
export const charSet = (pairs: readonly (readonly [number, number])[]): CharSet => {
  const sorted = [...pairs].sort((a, b) => a[0] - b[0]);
  const result: number[] = [];
  for (const [from, to] of sorted) {
    const end = result.at(-1);
    if (end !== undefined && from <= end + 1) result[result.length - 1] = Math.max(end, to);
    else result.push(from, to);
  }
  return result;
};

export const pairsOf = (set: CharSet): (readonly [number, number])[] => {
  const pairs: (readonly [number, number])[] = [];
  for (let i = 0; i + 1 < set.length; i += 2) pairs.push([set[i] ?? 0, set[i + 1] ?? 0]);
  return pairs;
};

/** The characters of a text. */
export const charsOf = (text: string): CharSet =>
  charSet(Array.from(text, (char) => [char.codePointAt(0) ?? 0, char.codePointAt(0) ?? 0] as const));

export const unionOf = (...sets: readonly CharSet[]): CharSet => charSet(sets.flatMap(pairsOf));

export const intersectionOf = (a: CharSet, b: CharSet): CharSet => {
  const result: (readonly [number, number])[] = [];
  for (const [from, to] of pairsOf(a)) {
    for (const [begin, end] of pairsOf(b)) {
      if (begin <= to && from <= end) result.push([Math.max(from, begin), Math.min(to, end)]);
    }
  }
  return charSet(result);
};

/** All characters outside the set. */
export const complementOf = (set: CharSet): CharSet => {
  const gaps: (readonly [number, number])[] = [];
  let next = 0;
  for (const [from, to] of pairsOf(set)) {
    if (from > next) gaps.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= last) gaps.push([next, last]);
  return intersectionOf(charSet(gaps), allChars);
};
