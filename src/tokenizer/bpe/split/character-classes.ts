/**
 * Character classes of split patterns: \p{L}, \p{N}, \s and other classes. Tables are built from the Unicode data of
 * the JavaScript engine. The table of a block of characters is built when a character of this block first occurs. In
 * Foretoken, \s is the Unicode property White_Space, as in Rust. JavaScript's own \s also includes U+FEFF and excludes
 * U+0085.
 */
export const letter = 1;
export const number = 2;
/** White space except line breaks. */
export const space = 3;
/** Carriage return and line feed. */
export const lineBreak = 4;
export const other = 5;

/** Class of each code point. The class is 0 if the block of the code point has not been built yet. */
const classes = new Uint8Array(0x110000);
const blockSize = 256;

const classify = (codePoint: number): number => {
  if (codePoint === 10 || codePoint === 13) return lineBreak;
  const character = String.fromCodePoint(codePoint);
  if (/\p{L}/u.test(character)) return letter;
  if (/\p{N}/u.test(character)) return number;
  return /\p{White_Space}/u.test(character) ? space : other;
};

const fillBlock = (codePoint: number): void => {
  const from = codePoint - (codePoint % blockSize);
  for (let at = from; at < from + blockSize; at++) classes[at] = classify(at);
};

/** Class of a code point. */
export const classOf = (codePoint: number): number => {
  if (classes[codePoint] === 0) fillBlock(codePoint);
  return classes[codePoint] as number;
};

/** Class of each single-byte character. 0 for a byte of a longer character. */
export const byteClasses: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => (byte < 128 ? classOf(byte) : 0));

/** Length in bytes of the character that begins with this byte. */
export const lengthFrom = (first: number): number => (first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4);

/**
 * Class of the multi-byte character that begins at `at`.
 * @param bytes well-formed UTF-8.
 */
export const wideClassAt = (bytes: Uint8Array, at: number): number => {
  const first = bytes[at] as number;
  const second = (bytes[at + 1] as number) & 0x3f;
  if (first < 0xe0) return classOf(((first & 0x1f) << 6) | second);
  const third = (bytes[at + 2] as number) & 0x3f;
  if (first < 0xf0) return classOf(((first & 0xf) << 12) | (second << 6) | third);
  const fourth = (bytes[at + 3] as number) & 0x3f;
  // The modulo keeps the index within the table even if bytes are malformed.
  return classOf((((first & 0x7) << 18) | (second << 12) | (third << 6) | fourth) % 0x110000);
};
