/**
 * Cuts an array of a layout into pieces, for sums whose terms are on several machines. Pieces depend only on the
 * layout, so sums over pieces have the same bits on any number of machines.
 */
import type { ArenaLayout } from "./arena.ts";

/** Elements [from, to) of an array. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Elements of one matrix, of several adjacent matrices, or of the vectors. */
export interface Piece extends Range {
  /** Index of the matrix that the piece is part of, in offset order. All vectors together count as one matrix. */
  readonly whole: number;
}

/** Minimum piece length in elements. Smaller pieces would cost more calls than they save. */
const fewest = 2 ** 14;

/** Approximate maximum number of pieces: enough to divide them evenly, few enough to loop over quickly. */
const aboutMost = 1024;

/** Offsets of the matrices and of the vectors, in order. */
const beginnings = ({ parameters, decayed, length }: ArenaLayout): readonly number[] => {
  const matrices = parameters.filter((one) => one.shape.length >= 2 && one.adjoins !== true);
  const starts = matrices.map(({ offset }) => offset).sort((a, b) => a - b);
  return decayed < length ? [...starts, decayed] : starts;
};

/** Pieces of a layout, in order. Together they cover it, gaps included. */
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
