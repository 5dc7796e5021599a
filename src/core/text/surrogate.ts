/** Whether a code point is half of a surrogate pair: a string can have one alone, no UTF-8 text can. */
export const isSurrogate = (codePoint: number): boolean => codePoint >= 0xd800 && codePoint <= 0xdfff;

/** UTF-16 index of the first half of a surrogate pair without the other half; −1: the text is well-formed. */
export const loneSurrogateAt = (text: string): number => text.search(/\p{Surrogate}/u);

export const wellFormedText = "must be well-formed Unicode";
