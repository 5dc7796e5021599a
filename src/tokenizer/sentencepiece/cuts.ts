/** Finds places where a text can be cut before it is encoded: no token of the vocabulary spans such a place. */

/**
 * log2 of the filter's size in bits. If two pairs share a bit, the encoder may miss a possible cut, but no cut is
 * wrong.
 */
const filterBits = 22;

const bitOf = (left: number, right: number): number =>
  Math.imul(Math.imul(left, 0x9e3779b1) ^ right, 0x85ebca6b) >>> (32 - filterBits);

/** Whether a UTF-16 unit is a low surrogate, the second half of a character. */
const isSecondHalf = (unit: number): boolean => (unit & 0xfc00) === 0xdc00;

/**
 * Makes a function that returns the end of the part that begins at `from`. `from` must be less than the text's length.
 * @param tokens all tokens that a text may be divided into.
 * @param before a character. The text is always cut before it. Undefined if there is no such character.
 */
export const nextCutOf = (tokens: Iterable<string>, before?: string): ((text: string, from: number) => number) => {
  /** Bloom filter of all pairs of neighbouring characters that occur within a token. */
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
