/**
 * Merges the symbols of a piece. The pair with the lowest rank is merged first. Among pairs with equal ranks, the
 * leftmost pair is merged first.
 */
import { minHeap } from "./min-heap.ts";
import type { PairTable } from "./pair-table.ts";

/** Merges of a vocabulary. */
export interface Merges {
  /** Rank of each pair. */
  readonly ranks: PairTable;
  /** Id of the merged token, by rank. */
  readonly merged: Int32Array;
}

/** For at most this number of symbols, scanning all pairs before each merge is faster than a heap. */
const longestScan = 48;

/** A rank above all other ranks. A pair with this rank is not merged. */
const unmerged = 2 ** 31 - 1;

/** Merges at most `longestScan` symbols in place. Returns the number of remaining symbols. */
const mergeShort = (symbols: Int32Array, length: number, { ranks, merged }: Merges, pairRanks: Int32Array): number => {
  const rankAt = (i: number): number => {
    const rank = ranks.find(symbols[i] as number, symbols[i + 1] as number);
    return rank === -1 ? unmerged : rank;
  };
  let left = length;
  for (let i = 0; i + 1 < left; i++) pairRanks[i] = rankAt(i);
  for (;;) {
    let lowest = unmerged;
    let at = -1;
    for (let i = 0; i + 1 < left; i++) {
      if ((pairRanks[i] as number) < lowest) {
        lowest = pairRanks[i] as number;
        at = i;
      }
    }
    if (at === -1) return left;
    symbols[at] = merged[lowest] as number;
    left--;
    for (let i = at + 1; i < left; i++) {
      symbols[i] = symbols[i + 1] as number;
      pairRanks[i] = pairRanks[i + 1] as number;
    }
    if (at + 1 < left) pairRanks[at] = rankAt(at);
    if (at > 0) pairRanks[at - 1] = rankAt(at - 1);
  }
};

/** A heap entry is rank × 2³¹ + place. A double represents it exactly if the rank is below 2²². */
const placeRange = 2 ** 31;

/** Merges a piece of any length in place, in O(n log n). Returns the number of remaining symbols. */
const mergeLong = (symbols: Int32Array, length: number, { ranks, merged }: Merges): number => {
  const next = Int32Array.from({ length }, (_, i) => i + 1);
  const previous = Int32Array.from({ length }, (_, i) => i - 1);
  /**
   * Rank of the pair that begins at a place. The rank is `unmerged` if the symbol at this place was merged into the
   * previous symbol.
   */
  const pairRanks = new Int32Array(length).fill(unmerged);
  const heap = minHeap(length);
  const enter = (i: number): void => {
    const after = next[i] as number;
    const rank = after < length ? ranks.find(symbols[i] as number, symbols[after] as number) : -1;
    pairRanks[i] = rank === -1 ? unmerged : rank;
    if (rank !== -1) heap.push(rank * placeRange + i);
  };
  for (let i = 0; i + 1 < length; i++) enter(i);
  for (let entry = heap.pop(); entry !== undefined; entry = heap.pop()) {
    const rank = Math.floor(entry / placeRange);
    const at = entry - rank * placeRange;
    // Skip an outdated entry: the symbols at its place have changed since it was added.
    if (pairRanks[at] !== rank) continue;
    const taken = next[at] as number;
    const after = next[taken] as number;
    symbols[at] = merged[rank] as number;
    pairRanks[taken] = unmerged;
    next[at] = after;
    if (after < length) previous[after] = at;
    enter(at);
    const before = previous[at] as number;
    if (before >= 0) enter(before);
  }
  let left = 0;
  for (let at = 0; at < length; at = next[at] as number) symbols[left++] = symbols[at] as number;
  return left;
};

/** Merges the first `length` symbols in place. Returns the number of remaining symbols. */
export type Merge = (symbols: Int32Array, length: number) => number;

export const mergeBy = (merges: Merges): Merge => {
  const pairRanks = new Int32Array(longestScan);
  return (symbols, length) =>
    length <= longestScan ? mergeShort(symbols, length, merges, pairRanks) : mergeLong(symbols, length, merges);
};
