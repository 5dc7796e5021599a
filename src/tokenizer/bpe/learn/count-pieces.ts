/** Counts the distinct pieces of texts, for training. */
import { type PieceTable, pieceTable } from "../piece-table.ts";
import type { NextPiece } from "../split/split.ts";

/** Distinct pieces and their frequencies. */
export interface PieceCounts {
  readonly pieces: PieceTable;
  readonly counts: Float64Array;
}

export interface PieceCounter extends PieceCounts {
  /** @param text well-formed UTF-8. */
  add(text: Uint8Array): void;
}

export const pieceCounter = (nextPiece: NextPiece): PieceCounter => {
  const pieces = pieceTable();
  let counts = new Float64Array(2 ** 11);

  const count = (text: Uint8Array, from: number, to: number): void => {
    const index = pieces.add(text, from, to);
    if (index === counts.length) {
      const larger = new Float64Array(2 * index);
      larger.set(counts);
      counts = larger;
    }
    counts[index] = (counts[index] as number) + 1;
  };

  return {
    pieces,
    get counts() {
      return counts.subarray(0, pieces.size);
    },
    add: (text) => {
      for (let at = 0; at < text.length; ) {
        const end = nextPiece(text, at, text.length);
        count(text, at, end);
        at = end;
      }
    },
  };
};
