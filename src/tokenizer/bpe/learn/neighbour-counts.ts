/** Counts the neighbours of a pair while the pair is merged everywhere. Also collects the places of each new pair. */
import { doubled } from "../pair-table.ts";

export interface NeighbourCounts {
  /**
   * Records that `symbol` is next to the merged pair. `symbol` and the merged pair form a new pair at `place`, in a
   * piece that occurs `count` times.
   */
  note(symbol: number, place: number, count: number): void;
  /**
   * Calls `give` for each recorded symbol with its count and its places, then clears all records. The array `places` is
   * valid only during the call.
   */
  take(give: (symbol: number, count: number, places: Int32Array) => void): void;
}

/** @param symbolCount maximum number of symbols. */
export const neighbourCounts = (symbolCount: number): NeighbourCounts => {
  const counts = new Float64Array(symbolCount);
  /** At first, the number of records of each symbol. Later, the end of the symbol's list in `sorted`. */
  const ends = new Int32Array(symbolCount);
  const met: number[] = [];
  let symbols = new Int32Array(2 ** 10);
  let places = new Int32Array(2 ** 10);
  let sorted = new Int32Array(2 ** 10);
  let size = 0;
  return {
    note: (symbol, place, count) => {
      if (ends[symbol] === 0) met.push(symbol);
      counts[symbol] = (counts[symbol] as number) + count;
      ends[symbol] = (ends[symbol] as number) + 1;
      if (size === symbols.length) {
        symbols = doubled(symbols);
        places = doubled(places);
      }
      symbols[size] = symbol;
      places[size++] = place;
    },
    take: (give) => {
      if (sorted.length < size) sorted = new Int32Array(symbols.length);
      let used = 0;
      for (const symbol of met) {
        const notes = ends[symbol] as number;
        ends[symbol] = used;
        used += notes;
      }
      for (let i = 0; i < size; i++) {
        const symbol = symbols[i] as number;
        const to = ends[symbol] as number;
        sorted[to] = places[i] as number;
        ends[symbol] = to + 1;
      }
      let from = 0;
      for (const symbol of met) {
        const to = ends[symbol] as number;
        give(symbol, counts[symbol] as number, sorted.subarray(from, to));
        counts[symbol] = 0;
        ends[symbol] = 0;
        from = to;
      }
      met.length = 0;
      size = 0;
    },
  };
};
