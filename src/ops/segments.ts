/**
 * Sequences of different lengths in one forward pass. The sequences are concatenated on the time axis of a batch of one
 * row. The sequences are packed documents, or sequences that are continued together.
 */
import { type Memory, slice, type Tensor } from "../autograd/tensor.ts";
import { pageRows, segmentInts } from "../backend/kernels/sizes.ts";
import { ShapeError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";

/** One sequence of a forward pass. */
export interface Segment {
  /** Number of positions of the sequence in this pass, at least 1. */
  readonly length: number;
  /** Number of earlier positions of the sequence. The keys and values of these positions are in `pages`. Default 0. */
  readonly start?: number;
  /**
   * Numbers of the cache pages that contain the keys and values of all positions of the sequence, in order. A page has
   * room for `pageRows` positions. If this sequence writes to a page, no other sequence of the pass may write to that
   * page. Either all sequences of a pass have pages, or no sequence has pages. Default: no cache.
   */
  readonly pages?: readonly number[];
}

/** Page numbers of a forward pass in a backend's memory. */
export interface SegmentPages {
  /** int32 [pages]: page numbers of all sequences, concatenated. */
  readonly numbers: Tensor;
  /** int32 [rows]: for each row of the pass, the row of the cache into which its key and value are written. */
  readonly rows: Tensor;
  /** Minimum number of pages that the cache must have. */
  readonly needed: number;
}

/** Segments in a backend's memory. */
export interface Segments {
  readonly list: readonly (Required<Pick<Segment, "length" | "start">> & {
    /** First row of the sequence in the pass. */
    readonly row: number;
  })[];
  /** Number of rows of all sequences together, and of the longest sequence. */
  readonly rows: number;
  readonly longest: number;
  /** int32 [segments, 4], as the attention kernels read it. */
  readonly table: Tensor;
  /** int32 [rows]: the position of each row in the row's sequence. */
  readonly places: Tensor;
  /** Pages of the cache. If null, keys and values come from the forward pass itself. */
  readonly pages: SegmentPages | null;
}

/** Length of the longest sequence, including its earlier positions. */
export const endOf = ({ list }: Segments): number => Math.max(...list.map(({ start, length }) => start + length));

const checkWhole = (value: number, from: number, must: string, i: number): void => {
  if (Number.isSafeInteger(value) && value >= from) return;
  throw new ShapeError({ where: "segments", must, got: `${show(value)} for segment ${i}` });
};

const checkPages = ({ length, start = 0, pages = [] }: Segment, i: number): void => {
  for (const page of pages) checkWhole(page, 0, "each page number must be a whole number from 0", i);
  if (pages.length * pageRows >= start + length) return;
  throw new ShapeError({
    where: "segments",
    must: `pages of ${pageRows} positions must hold all positions of a segment`,
    got: `${pages.length} for ${start} + ${length} of segment ${i}`,
  });
};

/** @throws ShapeError for an invalid length, start or pages. */
export const createSegments = (memory: Memory, given: readonly Segment[]): Segments => {
  if (given.length === 0)
    throw new ShapeError({ where: "segments", must: "there must be at least one segment", got: "none" });
  const paged = given[0]?.pages !== undefined;
  let rows = 0;
  const list = given.map((segment, i) => {
    const { length, start = 0, pages } = segment;
    checkWhole(length, 1, "each length must be a whole number from 1", i);
    checkWhole(start, 0, "each start must be a whole number from 0", i);
    if ((pages !== undefined) !== paged) {
      throw new ShapeError({
        where: "segments",
        must: "all segments or none must have pages",
        got: `segment ${i}, which differs from segment 0`,
      });
    }
    if (paged) checkPages(segment, i);
    const row = rows;
    rows += length;
    return { length, start, row };
  });
  const pageCount = given.reduce((sum, { pages = [] }) => sum + pages.length, 0);
  // One array contains all numbers, so that one transfer copies them to the backend.
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
