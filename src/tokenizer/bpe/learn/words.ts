/** The pieces of a text as one row of symbols, in which merges find the neighbours of any place at once. */
import type { PieceCounts } from "./count-pieces.ts";

/**
 * A symbol of n bytes takes n places: the first has the symbol, the last (of several) has −n, those between have any
 * negative number. So the next symbol is n places on, and the number before a symbol tells where the previous one begins.
 */
export interface Words {
  /** The pieces with two bytes and more, each after a `boundary`, and one at the end. */
  readonly row: Int32Array;
  /** How often the piece of each place comes; 0 at boundaries. */
  readonly counts: Int32Array;
}

/** Less than any −n. */
export const boundary = -(2 ** 31);

/** The largest count of a piece. */
const mostCounted = 2 ** 31 - 1;

/** @param symbolOfByte the symbol of each byte. */
export const wordsOf = ({ pieces, counts }: PieceCounts, symbolOfByte: Int32Array): Words => {
  const bytes = pieces.bytes();
  const row = new Int32Array(bytes.length + pieces.size + 1);
  const countOfPlace = new Int32Array(row.length);
  let at = 0;
  row[at++] = boundary;
  for (let piece = 0; piece < pieces.size; piece++) {
    const from = pieces.offset(piece);
    const to = pieces.offset(piece + 1);
    if (to - from < 2) continue;
    countOfPlace.fill(Math.min(counts[piece] as number, mostCounted), at, at + to - from);
    for (let i = from; i < to; i++) row[at++] = symbolOfByte[bytes[i] as number] as number;
    row[at++] = boundary;
  }
  return { row: row.subarray(0, at), counts: countOfPlace.subarray(0, at) };
};
