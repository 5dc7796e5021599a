/** Texts of any characters, for fast-check. */
import fc from "fast-check";

const [surrogates, afterSurrogates, end] = [0xd800, 0xe000, 0x110000] as const;
const skipped = afterSurrogates - surrogates;

/**
 * Throws if the text is not a single one of the characters. fast-check calls this to find which of its own example
 * texts it may mix in.
 */
const placeOf = (character: unknown): number => {
  const point = typeof character === "string" ? (character.codePointAt(0) ?? end) : end;
  if (point >= end || character !== String.fromCodePoint(point) || (point >= surrogates && point < afterSurrogates))
    throw new RangeError("must be a code point, and no surrogate");
  return point < surrogates ? point : point - skipped;
};

/**
 * A Unicode code point. `fc.string({ unit: codePoint })` gives the same texts as `unit: "binary"`. But `unit: "binary"`
 * keeps a table of a million characters in memory. The table takes a second to make, and slows down each later garbage
 * collection.
 */
export const codePoint = fc
  .nat({ max: end - skipped - 1 })
  .map((place) => String.fromCodePoint(place < surrogates ? place : place + skipped), placeOf);
