/** Reduces the attention between many positions to a grid that fits on a screen. */
import type { AttentionMap } from "../../../inside/attention.ts";
import type { Span } from "./protocol.ts";

export interface Grid {
  readonly rows: readonly Span[];
  readonly columns: readonly Span[];
}

/**
 * The rows and columns of the grid. The positions (`from` is included, `to` is not) are divided into at most `most`
 * rows of equal size. The columns cover all `time` tokens.
 */
export const gridOf = (from: number, to: number, time: number, most: number): Grid => {
  const size = Math.ceil((to - from) / most);
  const rows = Array.from({ length: Math.ceil((to - from) / size) }, (_, r) => ({
    from: from + r * size,
    to: Math.min(to, from + (r + 1) * size),
  }));
  const before = from > 0 ? [{ from: 0, to: from }] : [];
  const after = to < time ? [{ from: to, to: time }] : [];
  return { rows, columns: [...before, ...rows, ...after] };
};

const digits = 1e8;

/**
 * The values of the grid. For each value, attention is summed over the positions of the column and averaged over the
 * positions of the row.
 * @param map attention from each position of the rows, in order: `time` numbers for each position.
 * @param isCausal whether to leave out columns that begin after the last position of a row.
 */
export const valuesOf = (
  { probabilities }: Pick<AttentionMap, "probabilities">,
  time: number,
  { rows, columns }: Grid,
  isCausal: boolean,
): readonly (readonly number[])[] => {
  const first = rows[0]?.from ?? 0;
  return rows.map((row) =>
    columns
      .filter((column) => !isCausal || column.from < row.to)
      .map((column) => {
        let sum = 0;
        for (let i = row.from; i < row.to; i++) {
          const at = (i - first) * time;
          for (let j = column.from; j < column.to; j++) sum += probabilities[at + j] ?? 0;
        }
        return Math.round((sum / (row.to - row.from)) * digits) / digits;
      }),
  );
};
