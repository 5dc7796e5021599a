/**
 * GPT-2's byte alphabet. The alphabet has a printable character for each byte, so any bytes can be written as text.
 * Visible Latin-1 characters represent themselves. The other 68 bytes get code points from 256 on. Source: GPT-2's
 * `bytes_to_unicode`.
 */
const isVisible = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);

const makeAlphabet = (): readonly string[] => {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isVisible(byte) ? byte : next++));
};

/** The character that represents each byte. */
export const characterOfByte: readonly string[] = makeAlphabet();

const byteOfCodePoint: ReadonlyMap<number, number> = new Map(
  characterOfByte.map((character, byte) => [character.charCodeAt(0), byte]),
);

/**
 * All bytes, sorted by their characters. The byte tokens in GPT-2's vocabulary and in Foretoken's vocabularies have
 * this order.
 */
export const bytesInOrder: readonly number[] = Array.from({ length: 256 }, (_, byte) => byte).sort(
  (a, b) => (characterOfByte[a]?.charCodeAt(0) ?? 0) - (characterOfByte[b]?.charCodeAt(0) ?? 0),
);

/** Writes bytes as characters of the byte alphabet. */
export const toAlphabet = (bytes: Uint8Array): string => {
  let text = "";
  for (const byte of bytes) text += characterOfByte[byte];
  return text;
};

/** The bytes that a text in the byte alphabet represents. Undefined if the text has any other character. */
export const fromAlphabet = (text: string): Uint8Array | undefined => {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const byte = byteOfCodePoint.get(text.charCodeAt(i));
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
};
