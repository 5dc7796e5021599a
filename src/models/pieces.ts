/**
 * Cuts an array into pieces for sums over several machines. The pieces depend only on the layout, so a sum over pieces
 * has the same bits on any number of machines.
 */
import type { ArenaLayout } from "./arena.ts";

/** Elements [from, to) of an array. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Whether the elements belong to one matrix, to several adjacent matrices, or to the vectors. */
export interface Piece extends Range {
  /**
   * Index, in the order of offsets, of the matrix to which the piece belongs. All vectors together count as one matrix.
   */
  readonly whole: number;
}

/** Minimum piece length in elements. Smaller pieces would cost more calls than they save. */
const fewest = 2 ** 14;

/**
 * Approximate maximum number of pieces. Machines can share this number of pieces evenly, and a loop over them is quick.
 */
const aboutMost = 1024;

/** Offsets of the matrices and of the vectors, in order. */
const beginnings = ({ parameters, decayed, length }: ArenaLayout): readonly number[] => {
  const matrices = parameters.filter((one) => one.shape.length >= 2 && one.adjoins !== true);
  const starts = matrices.map(({ offset }) => offset).sort((a, b) => a - b);
  return decayed < length ? [...starts, decayed] : starts;
};

/** Pieces of a layout, in order. Together the pieces cover the layout, including gaps. */
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
