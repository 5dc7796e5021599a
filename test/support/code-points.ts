/** Texts of any characters, for fast-check. */
import fc from "fast-check";

const [surrogates, afterSurrogates, end] = [0xd800, 0xe000, 0x110000] as const;
const skipped = afterSurrogates - surrogates;

/** Throws where that is not one of the characters: fast-check asks so which of its own texts it may mix in. */
const placeOf = (character: unknown): number => {
  const point = typeof character === "string" ? (character.codePointAt(0) ?? end) : end;
  if (point >= end || character !== String.fromCodePoint(point) || (point >= surrogates && point < afterSurrogates))
    throw new RangeError("must be a code point, and no surrogate");
  return point < surrogates ? point : point - skipped;
};

/**
 * A character of Unicode, one code point: `fc.string({ unit: codePoint })` gives the texts of `unit: "binary"`, which keeps a
 * table of all million characters in memory: a second to make, and more for each later collection of garbage.
 */
export const codePoint = fc
  .nat({ max: end - skipped - 1 })
  .map((place) => String.fromCodePoint(place < surrogates ? place : place + skipped), placeOf);
