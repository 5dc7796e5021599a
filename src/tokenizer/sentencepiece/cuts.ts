/** Places where a text can be cut before tokens are looked for: no token of the vocabulary reaches over them. */

/** Bits of the filter. A pair that shares a bit with another only makes a cut less. */
const filterBits = 22;

const bitOf = (left: number, right: number): number =>
  Math.imul(Math.imul(left, 0x9e3779b1) ^ right, 0x85ebca6b) >>> (32 - filterBits);

/** Whether a UTF-16 unit is the second half of a character. */
const isSecondHalf = (unit: number): boolean => (unit & 0xfc00) === 0xdc00;

/**
 * A function that gives the end of the stretch that begins at `from`, which is below the text's length.
 * @param tokens all that a text may be divided into.
 * @param before a character that every stretch ends before; undefined: there is none.
 */
export const nextCutOf = (tokens: Iterable<string>, before?: string): ((text: string, from: number) => number) => {
  /** A bit for each pair of neighbours within a token. */
  const inside = new Int32Array(2 ** (filterBits - 5));
  for (const token of tokens) {
    for (let i = 1; i < token.length; i++) {
      const bit = bitOf(token.charCodeAt(i - 1), token.charCodeAt(i));
      inside[bit >>> 5] = (inside[bit >>> 5] as number) | (1 << (bit & 31));
    }
  }
  const ender = before?.charCodeAt(0) ?? -1;
  return (text, from) => {
    let last = text.charCodeAt(from);
    for (let at = from + 1; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (unit === ender) return at;
      if (!isSecondHalf(unit)) {
        const bit = bitOf(last, unit);
        if (((inside[bit >>> 5] as number) & (1 << (bit & 31))) === 0) return at;
      }
      last = unit;
    }
    return text.length;
  };
};
