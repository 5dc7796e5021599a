import { DataError } from "../core/errors/errors.ts";
import { quoteWord } from "../core/text/shell-word.ts";
import { otherKindOf } from "./file-kind.ts";

/**
 * Offset of the first byte that is not part of well-formed UTF-8, or −1. Well-formed UTF-8 (RFC 3629) has only shortest
 * forms, no surrogates, and nothing above U+10FFFF. For an incomplete or broken sequence, the result is the offset of
 * the sequence's first byte.
 */
export const firstInvalidByte = (bytes: Uint8Array): number => {
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at] as number;
    if (lead < 0x80) {
      at++;
      continue;
    }
    const extra =
      lead >= 0xc2 && lead <= 0xdf ? 1 : lead >= 0xe0 && lead <= 0xef ? 2 : lead >= 0xf0 && lead <= 0xf4 ? 3 : 0;
    if (extra === 0 || at + extra >= bytes.length) return at;
    // After these first bytes, fewer second bytes are allowed. Overlong forms, surrogates and code points above
    // U+10FFFF are excluded.
    const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    const second = bytes[at + 1] as number;
    if (second < low || second > high) return at;
    for (let i = 2; i <= extra; i++) {
      if (((bytes[at + i] as number) & 0xc0) !== 0x80) return at;
    }
    at += extra + 1;
  }
  return -1;
};

/** Maximum number of bytes of a text. A V8 string has at most 2^29 − 24 UTF-16 units. */
export const maxTextBytes = 2 ** 29 - 24;

const hex = (byte: number): string => `0x${byte.toString(16).toUpperCase().padStart(2, "0")}`;

const lineFeed = 10;
const carriageReturn = 13;

const lineOf = (bytes: Uint8Array, offset: number): number => {
  let line = 1;
  for (let at = 0; at < offset; at++) if (bytes[at] === lineFeed) line++;
  return line;
};

/**
 * Replaces `\r\n` by `\n` in the bytes. The method of strings would need fifty times the size of a text that consists
 * only of line ends.
 */
const withoutCarriageReturns = (bytes: Uint8Array): Uint8Array => {
  const isLineEnd = (at: number): boolean => bytes[at] === carriageReturn && bytes[at + 1] === lineFeed;
  let at = 0;
  while (at < bytes.length && !isLineEnd(at)) at++;
  if (at === bytes.length) return bytes;
  const kept = new Uint8Array(bytes.length);
  kept.set(bytes.subarray(0, at));
  let length = at;
  for (; at < bytes.length; at++) if (!isLineEnd(at)) kept[length++] = bytes[at] as number;
  return kept.subarray(0, length);
};

/** Whether `bytes` contain a NUL byte. A text never contains a NUL byte. */
export const isBinary = (bytes: Uint8Array): boolean => bytes.includes(0);

/**
 * Maximum fraction of non-ASCII bytes in a European text. Texts in other alphabets have a larger fraction and use other
 * encodings.
 */
const mostAccented = 0.25;

/**
 * Guesses the encoding of a text in a European language that is not UTF-8. Undefined if the text may have another
 * encoding.
 * @param invalid offset of the first byte that is not UTF-8.
 */
const europeanEncoding = (bytes: Uint8Array, invalid: number): "latin1" | "cp1252" | undefined => {
  let accented = 0;
  let quotes = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    // A control character other than tab, line feed, form feed and carriage return.
    if (byte < 0x20 && byte !== 9 && byte !== 10 && byte !== 12 && byte !== 13) return undefined;
    if (byte < 0x80) continue;
    // If a valid UTF-8 character is before the first invalid byte, the file is damaged UTF-8.
    if (at < invalid) return undefined;
    accented++;
    if (byte < 0xa0) quotes++;
  }
  if (accented > mostAccented * bytes.length) return undefined;
  return quotes === 0 ? "latin1" : "cp1252";
};

/** @throws DataError for bytes that are not UTF-8. `invalid` is the offset of the first such byte. */
const refuseEncoding = (bytes: Uint8Array, invalid: number, where: string, hint: string): never => {
  const byte = bytes[invalid] as number;
  const encoding = europeanEncoding(bytes, invalid);
  const at = `${hex(byte)} at byte ${invalid} (line ${lineOf(bytes, invalid)})`;
  const must = "the file must be valid UTF-8";
  if (encoding === undefined) throw new DataError({ where, must, got: at, hint });
  const name = encoding === "latin1" ? "Latin-1" : "Windows-1252";
  // Latin-1 bytes have the same code points in Unicode. Windows-1252 differs in bytes below 0xA0, so such a byte is not
  // shown as a character.
  const as = byte < 0xa0 ? `as in ${name}` : `${JSON.stringify(String.fromCharCode(byte))} in ${name}`;
  throw new DataError({
    where,
    must,
    got: `${at}, ${as}`,
    hint: `to save it as UTF-8: iconv -f ${encoding} -t utf-8 ${quoteWord(where)} > utf8.txt`,
  });
};

/**
 * Decodes the bytes of a UTF-8 file. A byte order mark is removed. Each `\r\n` becomes `\n`, so a file saved on Windows
 * has the same tokens. A single `\r` stays.
 * @param where name of the file, for errors.
 * @throws DataError for an empty text, binary data, invalid UTF-8 (with offset and line), or a text that is too long
 * for a string.
 */
export const decodeText = (bytes: Uint8Array, where: string): string => {
  if (bytes.length > maxTextBytes) {
    throw new DataError({
      where,
      must: `a text must be at most ${maxTextBytes} bytes`,
      got: `${bytes.length} bytes`,
      hint: "a part of the text",
    });
  }
  const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  const hint = utf16 ? "saving it as UTF-8: it looks like UTF-16" : "a text file saved as UTF-8";
  const nul = utf16 ? -1 : bytes.indexOf(0);
  const invalid = nul === -1 ? firstInvalidByte(bytes) : nul;
  const kind = invalid === -1 ? undefined : otherKindOf(bytes);
  if (kind !== undefined) {
    throw new DataError({ where, must: "the file must be text", got: kind.got, hint: kind.hint });
  }
  if (nul !== -1) {
    throw new DataError({
      where,
      must: "the file must be text",
      got: `a binary file: a NUL byte at byte ${nul} (line ${lineOf(bytes, nul)})`,
      hint,
    });
  }
  if (invalid !== -1) refuseEncoding(bytes, invalid, where, hint);
  // The decoder removes the byte order mark.
  const text = new TextDecoder("utf-8", { fatal: true }).decode(withoutCarriageReturns(bytes));
  if (text.length === 0) throw new DataError({ where, must: "the file must hold some text", got: "an empty file" });
  return text;
};
