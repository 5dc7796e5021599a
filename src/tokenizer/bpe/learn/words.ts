/** All pieces of a text in one array of symbols. A merge finds the neighbours of any place directly in this array. */
import type { PieceCounts } from "./count-pieces.ts";

/**
 * A symbol of n bytes occupies n places. The first place contains the symbol. If n > 1, the last place contains −n. The
 * places between contain any negative number. The next symbol therefore begins n places later, and the number before a
 * symbol tells where the previous symbol begins.
 */
export interface Words {
  /** Pieces of at least two bytes. There is a `boundary` before each piece and at the end. */
  readonly row: Int32Array;
  /** Frequency of the piece at each place. The frequency is 0 at boundaries. */
  readonly counts: Int32Array;
}

/** Marks a boundary. This number is smaller than any −n. */
export const boundary = -(2 ** 31);

/** Maximum count of a piece; higher counts are capped. */
const mostCounted = 2 ** 31 - 1;

/** @param symbolOfByte symbol of each byte. */
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
