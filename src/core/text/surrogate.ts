/** Whether a code point is half of a surrogate pair. A string can contain a single half; UTF-8 text cannot. */
export const isSurrogate = (codePoint: number): boolean => codePoint >= 0xd800 && codePoint <= 0xdfff;

/** UTF-16 index of the first unpaired surrogate half, or −1 if the text is well-formed. */
export const loneSurrogateAt = (text: string): number => text.search(/\p{Surrogate}/u);

export const wellFormedText = "must be well-formed Unicode";
