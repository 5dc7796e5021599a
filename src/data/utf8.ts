import { DataError } from "../core/errors.ts";

/**
 * Offset of the first byte that is not part of well-formed UTF-8 (RFC 3629: shortest forms only, no surrogates,
 * nothing past U+10FFFF), or −1. For a truncated or broken sequence it is the sequence's first byte.
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
    // The second byte's range is narrower after these leads: overlong forms, surrogates, past U+10FFFF.
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

/** Longest text in bytes: V8 holds at most 2^29 − 24 UTF-16 units in a string. */
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
 * Replaces `\r\n` by `\n`, in bytes: in a text of nothing else, a string's own replacement takes fifty times its size.
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

/** Whether `bytes` have a NUL byte, which no text has. */
export const isBinary = (bytes: Uint8Array): boolean => bytes.includes(0);

/**
 * Text from the bytes of a UTF-8 file. A byte order mark is dropped, and each `\r\n` becomes `\n`, so a file that was
 * saved on Windows gives the same tokens; a lone `\r` stays.
 * @param where the file, for errors.
 * @throws DataError for no text, binary data, invalid UTF-8 (with offset and line), or more than a string can have.
 */
export const decodeText = (bytes: Uint8Array, where: string): string => {
  if (bytes.length > maxTextBytes) {
    throw new DataError({
      where,
      must: `a text must be at most ${maxTextBytes} bytes`,
      got: `${bytes.length} bytes`,
      hint: "a part of it",
    });
  }
  const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  const hint = utf16 ? "saving it as UTF-8: it begins like UTF-16" : "a text file saved as UTF-8";
  const nul = utf16 ? -1 : bytes.indexOf(0);
  if (nul !== -1) {
    throw new DataError({
      where,
      must: "the file must be text",
      got: `a binary file: a NUL byte at byte ${nul} (line ${lineOf(bytes, nul)})`,
      hint,
    });
  }
  const invalid = firstInvalidByte(bytes);
  if (invalid !== -1) {
    throw new DataError({
      where,
      must: "the file must be valid UTF-8",
      got: `${hex(bytes[invalid] as number)} at byte ${invalid} (line ${lineOf(bytes, invalid)})`,
      hint,
    });
  }
  // The decoder drops a byte order mark by itself.
  const text = new TextDecoder("utf-8", { fatal: true }).decode(withoutCarriageReturns(bytes));
  if (text.length === 0) throw new DataError({ where, must: "the file must hold some text", got: "an empty file" });
  return text;
};
