/** Texts of any characters, for the package fast-check. */
import fc from "fast-check";

const [surrogates, afterSurrogates, end] = [0xd800, 0xe000, 0x110000] as const;
const skipped = afterSurrogates - surrogates;

/**
 * Throws if the text is not exactly one of the characters. fast-check calls this function to choose which of its own
 * example texts it may use.
 */
const placeOf = (character: unknown): number => {
  const point = typeof character === "string" ? (character.codePointAt(0) ?? end) : end;
  if (point >= end || character !== String.fromCodePoint(point) || (point >= surrogates && point < afterSurrogates))
    throw new RangeError("must be a code point, and no surrogate");
  return point < surrogates ? point : point - skipped;
};

/**
 * A Unicode code point. `fc.string({ unit: codePoint })` gives the same texts as `unit: "binary"`. But `unit: "binary"`
 * keeps a table of a million characters in memory. Making the table takes a second, and the table slows down each later
 * garbage collection.
 */
export const codePoint = fc
  .nat({ max: end - skipped - 1 })
  .map((place) => String.fromCodePoint(place < surrogates ? place : place + skipped), placeOf);
