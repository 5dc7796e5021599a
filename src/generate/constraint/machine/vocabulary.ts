import { allChars, type CharSet, charSet } from "../automata/char-set.ts";
import { isChar } from "./utf8.ts";

/** The bytes of all tokens as a prefix tree, with its nodes in depth-first order. */
export interface TokenTree {
  readonly vocabSize: number;
  /** For each node: its byte, its depth from 0, and the index of the first node after its subtree. */
  readonly bytes: Uint8Array;
  readonly depths: Uint16Array;
  readonly ends: Int32Array;
  /**
   * `tokens`: for each node, the first token that ends there, or -1 if no token ends there. `more`: for each token, the
   * next token with the same bytes, or -1 if no other token has these bytes.
   */
  readonly tokens: Int32Array;
  readonly more: Int32Array;
  /** Length in bytes of the longest token. */
  readonly longest: number;
  /** Special tokens. The tree does not contain special tokens. */
  readonly specials: readonly number[];
  /** Characters that tokens can always write: one token is the character, or there are tokens for its single bytes. */
  readonly alphabet: CharSet;
}

const compare = (a: Uint8Array, b: Uint8Array): number => {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return (a[i] as number) - (b[i] as number);
  return a.length - b.length;
};

/**
 * Finds the characters that tokens can always write: one token is the character, or there are tokens for its single
 * bytes.
 */
const alphabetOf = (tokens: readonly (Uint8Array | null)[]): CharSet => {
  const single = new Set<number>();
  const codes: (readonly [number, number])[] = [];
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  for (const bytes of tokens) {
    if (bytes === null || bytes.length === 0 || bytes.length > 4) continue;
    if (bytes.length === 1) single.add(bytes[0] as number);
    if (!isChar(bytes)) continue;
    const code = decoder.decode(bytes).codePointAt(0) ?? 0;
    codes.push([code, code]);
  }
  const continuations = Array.from({ length: 64 }, (_, i) => 0x80 + i).every((byte) => single.has(byte));
  if (continuations) {
    for (let lead = 0xc2; lead <= 0xf4; lead++) {
      if (!single.has(lead)) continue;
      const left = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
      const value = lead & (0x3f >> left);
      const from = Math.max(value * 64 ** left, [0, 0x80, 0x800, 0x10000][left] ?? 0);
      codes.push([from, Math.min(0x10ffff, (value + 1) * 64 ** left - 1)]);
    }
  }
  // Halves of surrogate pairs are not characters.
  const set = charSet(
    codes.flatMap(([from, to]): (readonly [number, number])[] =>
      from < 0xd800 && to > 0xdfff
        ? [
            [from, 0xd7ff],
            [0xe000, to],
          ]
        : from <= 0xdfff && to >= 0xd800
          ? [...(from < 0xd800 ? [[from, 0xd7ff] as const] : []), ...(to > 0xdfff ? [[0xe000, to] as const] : [])]
          : [[from, to]],
    ),
  );
  return set.join() === allChars.join() ? allChars : set;
};

/** @param bytesOf returns the bytes of a token, or null if the token is never allowed. */
export const tokenTree = (vocabSize: number, bytesOf: (id: number) => Uint8Array | null): TokenTree => {
  const all = Array.from({ length: vocabSize }, (_, id) => bytesOf(id));
  const order = all.flatMap((bytes, id) => (bytes === null || bytes.length === 0 ? [] : [{ bytes, id }]));
  order.sort((a, b) => compare(a.bytes, b.bytes));
  const most = order.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const bytes = new Uint8Array(most);
  const depths = new Uint16Array(most);
  const ends = new Int32Array(most);
  const tokens = new Int32Array(most).fill(-1);
  const more = new Int32Array(vocabSize).fill(-1);
  let count = 0;
  let longest = 0;
  const path: number[] = [];
  const close = (depth: number): void => {
    while (path.length > depth) ends[path.pop() as number] = count;
  };
  let before: Uint8Array = new Uint8Array();
  for (const { bytes: own, id } of order) {
    let shared = 0;
    while (shared < before.length && shared < own.length && before[shared] === own[shared]) shared++;
    close(shared);
    for (let depth = shared; depth < own.length; depth++) {
      bytes[count] = own[depth] as number;
      depths[count] = depth;
      path.push(count++);
    }
    const node = path.at(-1) as number;
    more[id] = tokens[node] as number;
    tokens[node] = id;
    longest = Math.max(longest, own.length);
    before = own;
  }
  close(0);
  return {
    vocabSize,
    bytes: bytes.slice(0, count),
    depths: depths.slice(0, count),
    ends: ends.slice(0, count),
    tokens: tokens.slice(0, count),
    more,
    longest,
    specials: all.flatMap((bytes, id) => (bytes === null ? [id] : [])),
    alphabet: alphabetOf(all),
  };
};
