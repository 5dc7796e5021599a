const incomplete = "\ufffd";

/** Whether bytes are whole characters. */
const isWhole = (bytes: Uint8Array): boolean => {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
};

/**
 * A token as it can be shown alone: its text, or the bytes of one with a part of a character, as `<e2><80>`.
 * @param text as `Tokenizer.token` gives it.
 * @param bytes its own: none of a special token.
 */
export const textAlone = (text: string, bytes: Uint8Array): string =>
  // U+FFFD may be the token's own text, or in the name of a special one.
  text.includes(incomplete) && !isWhole(bytes)
    ? Array.from(bytes, (byte) => `<${byte.toString(16).padStart(2, "0")}>`).join("")
    : text;
