/**
 * Sequences of different lengths in one pass, one after the other on the time axis of a batch of one: packed documents, or
 * sequences that are continued together.
 */
import { type Memory, slice, type Tensor } from "../autograd/tensor.ts";
import { pageRows, segmentInts } from "../backend/kernels/sizes.ts";
import { ShapeError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";

/** One sequence of a pass. */
export interface Segment {
  /** How many of its positions are in the pass, from 1 on. */
  readonly length: number;
  /** How many come before, whose keys and values are in `pages`. Default 0. */
  readonly start?: number;
  /**
   * Pages of a cache, in order, that hold the keys and values of all its positions: `pageRows` in each. No other sequence of the
   * pass may be writing to one that its positions of the pass fall on. All of a pass have pages, or none. Default: no cache.
   */
  readonly pages?: readonly number[];
}

/** Pages of a pass in a backend's memory. */
export interface SegmentPages {
  /** int32 [pages]: those of all sequences, one after the other. */
  readonly numbers: Tensor;
  /** int32 [rows]: the row of the cache that each row's key and value go to. */
  readonly rows: Tensor;
  /** Pages that the cache must have. */
  readonly needed: number;
}

/** Segments in a backend's memory. */
export interface Segments {
  readonly list: readonly (Required<Pick<Segment, "length" | "start">> & {
    /** Of the pass, its first. */
    readonly row: number;
  })[];
  /** Rows of all together, and of the longest. */
  readonly rows: number;
  readonly longest: number;
  /** int32 [segments, 4], as attention takes it. */
  readonly table: Tensor;
  /** int32 [rows]: where each row stands in its sequence. */
  readonly places: Tensor;
  /** null: keys and values are those of the pass. */
  readonly pages: SegmentPages | null;
}

/** The positions of the longest sequence, with those before the pass. */
export const endOf = ({ list }: Segments): number => Math.max(...list.map(({ start, length }) => start + length));

const checkWhole = (value: number, from: number, must: string, i: number): void => {
  if (Number.isSafeInteger(value) && value >= from) return;
  throw new ShapeError({ where: "segments", must, got: `${show(value)} for segment ${i}` });
};

const checkPages = ({ length, start = 0, pages = [] }: Segment, i: number): void => {
  for (const page of pages) checkWhole(page, 0, "each must have pages from 0 on", i);
  if (pages.length * pageRows >= start + length) return;
  throw new ShapeError({
    where: "segments",
    must: `pages, of ${pageRows} positions each, must hold those before and those of the pass`,
    got: `${pages.length} for ${start} + ${length} of segment ${i}`,
  });
};

/** @throws ShapeError for a length, a start or pages that cannot be. */
export const createSegments = (memory: Memory, given: readonly Segment[]): Segments => {
  if (given.length === 0) throw new ShapeError({ where: "segments", must: "there must be one or more", got: "none" });
  const paged = given[0]?.pages !== undefined;
  let rows = 0;
  const list = given.map((segment, i) => {
    const { length, start = 0, pages } = segment;
    checkWhole(length, 1, "each must have a length from 1 on", i);
    checkWhole(start, 0, "each must have a start from 0 on", i);
    if ((pages !== undefined) !== paged) {
      throw new ShapeError({ where: "segments", must: "all or none must have pages", got: `another for segment ${i}` });
    }
    if (paged) checkPages(segment, i);
    const row = rows;
    rows += length;
    return { length, start, row };
  });
  const pageCount = given.reduce((sum, { pages = [] }) => sum + pages.length, 0);
  // All in one array, so that they go to the backend at once.
  const placesFrom = segmentInts * list.length;
  const rowsFrom = placesFrom + rows;
  const numbersFrom = rowsFrom + (paged ? rows : 0);
  const ints = new Int32Array(numbersFrom + pageCount);
  let page = 0;
  let needed = 0;
  for (const [i, { length, start, row }] of list.entries()) {
    const pages = given[i]?.pages ?? [];
    ints.set([row, length, paged ? page : row, start], segmentInts * i);
    ints.set(pages, numbersFrom + page);
    for (let t = 0; t < length; t++) ints[placesFrom + row + t] = start + t;
    if (!paged) continue;
    for (let t = 0; t < length; t++) {
      const place = start + t;
      ints[rowsFrom + row + t] = (pages[Math.floor(place / pageRows)] as number) * pageRows + (place % pageRows);
    }
    for (const number of pages) needed = Math.max(needed, number + 1);
    page += pages.length;
  }
  const all = memory.upload(ints, [ints.length]);
  return {
    list,
    rows,
    longest: Math.max(...list.map(({ length }) => length)),
    table: slice(all, 0, [list.length, segmentInts]),
    places: slice(all, placesFrom, [rows]),
    pages: paged ? { numbers: slice(all, numbersFrom, [pageCount]), rows: slice(all, rowsFrom, [rows]), needed } : null,
  };
};
