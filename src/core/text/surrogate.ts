/** Whether a code point is half of a surrogate pair: a string can have one alone, no UTF-8 text can. */
export const isSurrogate = (codePoint: number): boolean => codePoint >= 0xd800 && codePoint <= 0xdfff;
