/**
 * Tokens as files with `tokenizer.ggml.model` rwkv have them: UTF-8 in which a backslash begins `\n`, `\r`, `\t`, a byte
 * as `\x1b`, or stands before the character that it makes an ordinary one.
 */

const named: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", "\0": "\\x00" };
const meant: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };

/** A token's text with escapes. */
export const escapeToken = (text: string): string =>
  Array.from(text, (character) => named[character] ?? character).join("");

/** The text of a token with escapes; undefined for one with a byte that is no character of its own. */
export const unescapeToken = (token: string): string | undefined => {
  let isText = true;
  const text = token.replace(
    /\\(?:x([0-9a-f]{2})|(.))/gisu,
    (_, hex: string | undefined, letter: string | undefined) => {
      if (hex === undefined) return meant[letter ?? ""] ?? letter ?? "";
      const byte = Number.parseInt(hex, 16);
      if (byte >= 0x80) isText = false;
      return String.fromCharCode(byte);
    },
  );
  return isText ? text : undefined;
};
