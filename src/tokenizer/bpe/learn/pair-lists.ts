/**
 * Frequency of each pair of neighbouring symbols, and a list of the pair's places. The list may still contain places
 * that an earlier merge has changed.
 */
import { doubled, type PairTable } from "../pair-table.ts";
import type { Words } from "./words.ts";

export interface PairLists {
  count(pair: number): number;
  /** Places from left to right. The array is valid until the next `addPlaces`. */
  places(pair: number): Int32Array;
  addCount(pair: number, count: number): void;
  /** @param places places from left to right. */
  addPlaces(pair: number, places: Int32Array): void;
  /** Sets the count to 0 and removes all places. */
  clear(pair: number): void;
}

/** Number of symbols that are single bytes. */
const byteSymbols = 256;

/**
 * Makes lists of all pairs in `words`. All symbols of `words` must be single bytes. The pairs are added to `table`,
 * which must be empty.
 */
export const pairLists = (table: PairTable, { row, counts: countOfPlace }: Words): PairLists => {
  /** At first, the number of places of each pair. Later, the end of the pair's list. */
  const ends = new Int32Array(byteSymbols ** 2);
  const sums = new Float64Array(byteSymbols ** 2);
  let total = 0;
  for (let at = 1; at + 1 < row.length; at++) {
    const left = row[at] as number;
    const right = row[at + 1] as number;
    // A boundary.
    if (left < 0 || right < 0) continue;
    const key = (left << 8) | right;
    ends[key] = (ends[key] as number) + 1;
    sums[key] = (sums[key] as number) + (countOfPlace[at] as number);
    total++;
  }

  /** The list of pair i is `arena[starts[i]..starts[i] + lengths[i])`. */
  let arena = new Int32Array(Math.max(16, total));
  let starts = new Int32Array(byteSymbols ** 2);
  let lengths = new Int32Array(byteSymbols ** 2);
  const counts: number[] = [];
  let used = 0;
  for (let key = 0; key < byteSymbols ** 2; key++) {
    const length = ends[key] as number;
    if (length === 0) continue;
    const pair = table.add(key >> 8, key & 255);
    counts.push(sums[key] as number);
    starts[pair] = used;
    lengths[pair] = length;
    ends[key] = used;
    used += length;
  }
  for (let at = 1; at + 1 < row.length; at++) {
    const left = row[at] as number;
    const right = row[at + 1] as number;
    if (left < 0 || right < 0) continue;
    const key = (left << 8) | right;
    const end = ends[key] as number;
    arena[end] = at;
    ends[key] = end + 1;
  }

  return {
    count: (pair) => counts[pair] ?? 0,
    places: (pair) => arena.subarray(starts[pair], (starts[pair] as number) + (lengths[pair] as number)),
    addCount: (pair, count) => {
      counts[pair] = (counts[pair] ?? 0) + count;
    },
    addPlaces: (pair, places) => {
      while (pair >= starts.length) {
        starts = doubled(starts);
        lengths = doubled(lengths);
      }
      const earlier = lengths[pair] as number;
      const length = earlier + places.length;
      while (arena.length < used + length) arena = doubled(arena);
      const start = starts[pair] as number;
      arena.copyWithin(used, start, start + earlier);
      arena.set(places, used + earlier);
      // This case is rare. A pair with a new symbol gets its places from a single merge, unless an earlier merge made a
      // symbol with the same text.
      if (earlier > 0) arena.subarray(used, used + length).sort();
      starts[pair] = used;
      lengths[pair] = length;
      used += length;
    },
    clear: (pair) => {
      counts[pair] = 0;
      lengths[pair] = 0;
    },
  };
};
