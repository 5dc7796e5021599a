/** The integers that a pass over single positions reads: tokens, positions and pages. */
import { type Memory, slice, type Tensor } from "../autograd/tensor.ts";
import { pageRows, segmentInts } from "../backend/kernels/sizes.ts";
import { checkIds, type Model } from "../models/model.ts";
import type { Segments } from "../ops/segments.ts";

/** One position of a sequence. */
interface Single {
  /** Its token. */
  readonly ids: readonly number[];
  /** Number of positions of the sequence before this position. */
  readonly start: number;
  /** Pages of the sequence's positions, in order, from its first position. */
  readonly pages: readonly number[] | null;
}

/** Tables of a pass over single positions. The memory of the tables stays in place from pass to pass. */
export interface SingleTables {
  /** The tokens [1, positions]. */
  readonly input: Tensor;
  readonly segments: Segments;
  /**
   * Writes the integers of a pass. The number of positions must not change.
   * @throws ShapeError for an id outside the vocabulary.
   */
  write(positions: readonly Single[]): void;
}

/**
 * Allocates tables for passes with the number of positions in `positions`. The tables are still empty.
 * @param pageRoom maximum total number of pages of all positions.
 */
export const singleTables = (
  model: Model,
  memory: Memory,
  positions: readonly Single[],
  pageRoom: number,
): SingleTables => {
  const count = positions.length;
  // All integers are in one array, so that one write uploads them.
  const [tableFrom, placesFrom, rowsFrom, numbersFrom] = [1, 1 + segmentInts, 2 + segmentInts, 3 + segmentInts].map(
    (ints) => ints * count,
  ) as [number, number, number, number];
  const ints = new Int32Array(numbersFrom + pageRoom);
  const all = memory.allocate([ints.length], "int32");
  return {
    input: slice(all, 0, [1, count]),
    segments: {
      list: positions.map(({ start }, row) => ({ length: 1, start, row })),
      rows: count,
      longest: 1,
      table: slice(all, tableFrom, [count, segmentInts]),
      places: slice(all, placesFrom, [count]),
      pages: {
        numbers: slice(all, numbersFrom, [pageRoom]),
        rows: slice(all, rowsFrom, [count]),
        needed: positions.reduce((most, { pages }) => Math.max(most, ...(pages ?? []).map((page) => page + 1)), 0),
      },
    },
    write(given) {
      let page = 0;
      let before: readonly number[] | null = null;
      let from = 0;
      for (let i = 0; i < count; i++) {
        const { ids, start, pages } = given[i] as Single;
        checkIds(model, ids);
        ints[i] = ids[0] as number;
        const own = pages as readonly number[];
        // Positions of the same text share one list of pages.
        if (own !== before) {
          from = page;
          for (let j = 0; j < own.length; j++) ints[numbersFrom + page++] = own[j] as number;
          before = own;
        }
        const row = tableFrom + i * segmentInts;
        ints[row] = i;
        ints[row + 1] = 1;
        ints[row + 2] = from;
        ints[row + 3] = start;
        ints[placesFrom + i] = start;
        ints[rowsFrom + i] = (own[Math.floor(start / pageRows)] as number) * pageRows + (start % pageRows);
      }
      model.backend.write(all.storage, ints);
    },
  };
};
