/** The character that replaces a space in SentencePiece's tokens: U+2581. */
export const spaceSign = "▁";
