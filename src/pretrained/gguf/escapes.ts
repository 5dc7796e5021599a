/**
 * Escapes in the tokens of files with `tokenizer.ggml.model` = rwkv. Tokens are UTF-8 with the escapes `\n`, `\r` and
 * `\t`. Escapes such as `\x1b` stand for any byte. A backslash before another character means that character.
 */

const named: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", "\0": "\\x00" };
const meant: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };

/** A token's text, escaped. */
export const escapeToken = (text: string): string =>
  Array.from(text, (character) => named[character] ?? character).join("");

/**
 * Removes the escapes of a token. Returns undefined if an escaped byte is 0x80 or more, because such a byte is not a
 * whole character.
 */
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
