/**
 * The pieces that an array of a layout is cut into: for sums of numbers that several machines have parts of. They depend on
 * the layout alone, so what is summed piece by piece has the same bits on any number of machines.
 */
import type { ArenaLayout } from "./arena.ts";

/** Elements [from, to) of an array. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Elements of one matrix, or of several that adjoin, or of the vectors. */
export interface Piece extends Range {
  /** Number of the matrix that it is cut from, in order of offsets; vectors count as one. */
  readonly whole: number;
}

/** The fewest elements that a matrix is cut into: smaller pieces would cost more calls than they save. */
const fewest = 2 ** 14;

/** About so many pieces at most: they can be shared out evenly, and looking at each of them takes no time. */
const aboutMost = 1024;

/** Where matrices begin, and the vectors, in order. */
const beginnings = ({ parameters, decayed, length }: ArenaLayout): readonly number[] => {
  const matrices = parameters.filter((one) => one.shape.length >= 2 && one.adjoins !== true);
  const starts = matrices.map(({ offset }) => offset).sort((a, b) => a - b);
  return decayed < length ? [...starts, decayed] : starts;
};

/** The pieces of a layout, in order: together all of it, gaps included. */
export const piecesOfLayout = (layout: ArenaLayout): readonly Piece[] => {
  const size = Math.max(fewest, 2 ** Math.ceil(Math.log2(layout.length / aboutMost)));
  const starts = beginnings(layout);
  return starts.flatMap((start, whole) => {
    const end = starts[whole + 1] ?? layout.length;
    return Array.from({ length: Math.ceil((end - start) / size) }, (_, i) => ({
      from: start + i * size,
      to: Math.min(start + (i + 1) * size, end),
      whole,
    }));
  });
};
