/**
 * Sequences of different lengths in one pass, one after the other on the time axis of a batch of one: packed documents, or
 * sequences that are continued together.
 */
import type { Memory, Tensor } from "../autograd/tensor.ts";
import { segmentInts } from "../backend/kernels/sizes.ts";
import { ShapeError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";

/** One sequence of a pass. */
export interface Segment {
  /** How many of its positions are in the pass, from 1 on. */
  readonly length: number;
  /** How many come before, whose keys and values are in a cache: with one, `keyRow` says where. Default 0. */
  readonly start?: number;
  /** Row of the cache at which its first position lies. Default: where it lies in the pass. */
  readonly keyRow?: number;
}

/** Segments in a backend's memory. */
export interface Segments {
  readonly list: readonly Required<Segment & { readonly row: number }>[];
  /** Rows of all together, and of the longest. */
  readonly rows: number;
  readonly longest: number;
  /** int32 [segments, 4], as attention takes it. */
  readonly table: Tensor;
  /** int32 [rows]: where each row stands in its sequence. */
  readonly places: Tensor;
}

const checkWhole = (value: number, from: number, must: string, i: number): void => {
  if (Number.isSafeInteger(value) && value >= from) return;
  throw new ShapeError({ where: "segments", must, got: `${show(value)} for segment ${i}` });
};

/**
 * @throws ShapeError for a length, start or row that cannot be.
 */
export const createSegments = (memory: Memory, given: readonly Segment[]): Segments => {
  if (given.length === 0) throw new ShapeError({ where: "segments", must: "there must be one or more", got: "none" });
  let rows = 0;
  const list = given.map(({ length, start = 0, keyRow = rows }, i) => {
    checkWhole(length, 1, "each must have a length from 1 on", i);
    checkWhole(start, 0, "each must have a start from 0 on", i);
    checkWhole(keyRow, 0, "each must have a row of keys from 0 on", i);
    const row = rows;
    rows += length;
    return { length, start, keyRow, row };
  });
  const table = new Int32Array(segmentInts * list.length);
  const places = new Int32Array(rows);
  for (const [i, { length, start, keyRow, row }] of list.entries()) {
    table.set([row, length, keyRow, start], segmentInts * i);
    for (let t = 0; t < length; t++) places[row + t] = start + t;
  }
  return {
    list,
    rows,
    longest: Math.max(...list.map(({ length }) => length)),
    table: memory.upload(table, [list.length, segmentInts]),
    places: memory.upload(places, [rows]),
  };
};
