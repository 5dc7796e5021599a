/**
 * Splits a text into pieces by the rules of a split pattern. A token never spans two pieces. The rules are written by
 * hand over UTF-8 bytes, because a regular expression takes ten times as long. Each function returns the end of the
 * piece that begins at `at`.
 */
import { byteClasses, lengthFrom, letter, lineBreak, number, other, space, wideClassAt } from "./character-classes.ts";
import type { SplitPattern } from "./patterns.ts";

/**
 * Returns the end of the piece that begins at `at` in `bytes` (well-formed UTF-8). The end is at most `end`, and `at`
 * must be less than `end`.
 */
export type NextPiece = (bytes: Uint8Array, at: number, end: number) => number;

/** Class of the character at `at`. */
const classAt = (bytes: Uint8Array, at: number): number =>
  (byteClasses[bytes[at] as number] as number) || wideClassAt(bytes, at);

const afterCharacter = (bytes: Uint8Array, at: number): number => at + lengthFrom(bytes[at] as number);

/** End of the run of characters of class `wanted` that begins at `at`. */
const runEnd = (bytes: Uint8Array, at: number, end: number, wanted: number): number => {
  let to = at;
  for (;;) {
    // Fast path: most characters have one byte.
    while (to < end && byteClasses[bytes[to] as number] === wanted) to++;
    if (to >= end || (bytes[to] as number) < 0x80 || wideClassAt(bytes, to) !== wanted) return to;
    to = afterCharacter(bytes, to);
  }
};

const apostrophe = 0x27;
const blank = 0x20;

/**
 * End of an English contraction ('s 't 'm 'd 're 've 'll) that begins with an apostrophe at `at`. The end is 0 if there
 * is no contraction.
 */
const contractionEnd = (bytes: Uint8Array, at: number, end: number, caseBit: number): number => {
  // If the apostrophe is the last byte, or a multi-byte character follows it, there is no contraction.
  const first = at + 1 < end ? (bytes[at + 1] as number) | caseBit : 0;
  const second = at + 2 < end ? (bytes[at + 2] as number) | caseBit : 0;
  switch (first) {
    case 0x73: // s
    case 0x74: // t
    case 0x6d: // m
    case 0x64: // d
      return at + 2;
    case 0x72: // r
    case 0x76: // v
      return second === 0x65 ? at + 3 : 0;
    case 0x6c: // l
      return second === 0x6c ? at + 3 : 0;
    default:
      return 0;
  }
};

/** Whether a long s (U+017F, UTF-8 C5 BF) is at `at`. A long s equals s if case is ignored. */
const isLongS = (bytes: Uint8Array, at: number, end: number): boolean =>
  at + 1 < end && bytes[at] === 0xc5 && bytes[at + 1] === 0xbf;

/**
 * End of the white space at `at`, as in `\s+(?!\S)|\s+`. If text follows several white space characters, the last white
 * space character belongs to the next piece.
 * @param beforeNumbers whether white space before a number keeps its last character, as in SmolLM2's rules.
 */
const whiteSpaceEnd = (bytes: Uint8Array, at: number, end: number, beforeNumbers: boolean): number => {
  let last = at;
  for (let to = at; to < end; to = afterCharacter(bytes, to)) {
    const kind = classAt(bytes, to);
    if (kind !== space && kind !== lineBreak) {
      return last === at || (beforeNumbers && kind === number) ? to : last;
    }
    last = to;
  }
  return end;
};

/** GPT-2's rules. */
const gpt2: NextPiece = (bytes, at, end) => {
  const byte = bytes[at] as number;
  if (byte === blank && at + 1 < end) {
    const next = classAt(bytes, at + 1);
    return next === space || next === lineBreak
      ? whiteSpaceEnd(bytes, at, end, false)
      : runEnd(bytes, at + 1, end, next);
  }
  const kind = classAt(bytes, at);
  if (byte === apostrophe) return contractionEnd(bytes, at, end, 0) || runEnd(bytes, at, end, kind);
  if (kind === space || kind === lineBreak) return whiteSpaceEnd(bytes, at, end, false);
  return runEnd(bytes, at, end, kind);
};

/**
 * SmolLM2's rules. Each number character is a piece of its own. GPT-2's rules split the text between number characters.
 */
const smollm: NextPiece = (bytes, at, end) => {
  if (classAt(bytes, at) === number) return afterCharacter(bytes, at);
  const isBlankBeforeNumber = bytes[at] === blank && at + 1 < end && classAt(bytes, at + 1) === number;
  if (isBlankBeforeNumber) return at + 1;
  const kind = classAt(bytes, at);
  if (kind !== space && kind !== lineBreak) return gpt2(bytes, at, end);
  const isBlankBeforeText =
    bytes[at] === blank && at + 1 < end && classAt(bytes, at + 1) !== space && classAt(bytes, at + 1) !== lineBreak;
  return isBlankBeforeText ? gpt2(bytes, at, end) : whiteSpaceEnd(bytes, at, end, true);
};

/** End of the line breaks that begin at `at`. */
const lineBreaksEnd = (bytes: Uint8Array, at: number, end: number): number => {
  let to = at;
  while (to < end && (bytes[to] === 10 || bytes[to] === 13)) to++;
  return to;
};

/** End of the last line break in the white space at `at`. 0 if there is no line break. */
const lastLineBreakEnd = (bytes: Uint8Array, at: number, end: number): number => {
  let last = 0;
  for (let to = at; to < end; to = afterCharacter(bytes, to)) {
    const kind = classAt(bytes, to);
    if (kind === lineBreak) last = to + 1;
    else if (kind !== space) break;
  }
  return last;
};

/** End of a run of at most `most` number characters. */
const numbersEnd = (bytes: Uint8Array, at: number, end: number, most: number): number => {
  let to = at;
  for (let count = 0; count < most && to < end && classAt(bytes, to) === number; count++) {
    to = afterCharacter(bytes, to);
  }
  return to;
};

/** End of a run of signs (characters of class `other`) and the line breaks after it. */
const signsEnd = (bytes: Uint8Array, at: number, end: number): number =>
  lineBreaksEnd(bytes, runEnd(bytes, at, end, other), end);

/** GPT-4's rules, with at most `mostDigits` number characters per piece. */
const gpt4 =
  (mostDigits: number): NextPiece =>
  (bytes, at, end) => {
    const byte = bytes[at] as number;
    const kind = classAt(bytes, at);
    if (kind === letter) return runEnd(bytes, at, end, letter);
    if (kind === number) return numbersEnd(bytes, at, end, mostDigits);
    if (byte === apostrophe) {
      const contraction = isLongS(bytes, at + 1, end) ? at + 3 : contractionEnd(bytes, at, end, 0x20);
      if (contraction !== 0) return contraction;
    }
    const after = afterCharacter(bytes, at);
    const next = kind !== lineBreak && after < end ? classAt(bytes, after) : 0;
    // A sign or a space is joined to letters that follow it. A space is also joined to signs that follow it.
    if (next === letter) return runEnd(bytes, after, end, letter);
    if (kind === other || (byte === blank && next === other)) return signsEnd(bytes, after, end);
    return lastLineBreakEnd(bytes, at, end) || whiteSpaceEnd(bytes, at, end, false);
  };

const splitters: { readonly [P in SplitPattern]: NextPiece } = {
  gpt2,
  gpt4: gpt4(3),
  llama3: gpt4(3),
  qwen2: gpt4(1),
  smollm,
};

/** The splitting function of a pattern. */
export const nextPieceOf = (pattern: SplitPattern): NextPiece => splitters[pattern];
