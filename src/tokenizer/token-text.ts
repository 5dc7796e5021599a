const incomplete = "\ufffd";

/** Whether the bytes are a text of complete characters. */
const isWhole = (bytes: Uint8Array): boolean => {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
};

/**
 * Displays a single token: its text, or bytes such as `<e2><80>` for part of a character.
 * @param text result of `Tokenizer.token`.
 * @param bytes the token's bytes. Empty for a special token.
 */
export const textAlone = (text: string, bytes: Uint8Array): string =>
  // U+FFFD may also be in the token's own text, or in the name of a special token.
  text.includes(incomplete) && !isWhole(bytes)
    ? Array.from(bytes, (byte) => `<${byte.toString(16).padStart(2, "0")}>`).join("")
    : text;
