/** What the attention view shows first, before the reader chooses anything. */
import type { HeadPlace } from "../../../src/inside/heads.ts";
import type { AttentionAnswer, Span } from "../../../src/serve/studio/inside/protocol.ts";

type Maps = Pick<AttentionAnswer, "columns" | "rows" | "maps">;

const middle = (span: Span | undefined): number => (span === undefined ? 0 : (span.from + span.to - 1) / 2);

type Values = readonly (readonly number[])[];

/** Strongest attention to a column among the rows after it and before the last row. */
const usualOf = (values: Values, { rows, columns }: Maps, column: number): number =>
  Math.max(
    0,
    ...values.slice(0, -1).flatMap((row, n) => (middle(rows[n]) > middle(columns[column]) ? [row[column] ?? 0] : [])),
  );

/**
 * Average distance in tokens that the last row of a map looks back. Attention to a column counts only if no earlier row
 * pays as much to it: in many heads, most tokens attend to the same early token, and this says nothing about the last
 * token. Attention to the first token does not count at all, because many idle heads attend to the first token.
 */
const reachOf = (values: Values, all: Maps): number => {
  const own = middle(all.rows.at(-1));
  return (values.at(-1) ?? []).reduce((sum, value, n) => {
    const column = all.columns[n];
    if (column?.from === 0) return sum;
    return sum + Math.max(0, value - usualOf(values, all, n)) * Math.abs(own - middle(column));
  }, 0);
};

/**
 * The head that looks back furthest in its last row, in one layer or in all layers. If several heads look back equally
 * far, this is the first of them.
 */
export const openingHead = (all: Maps, layer: number | undefined): HeadPlace => {
  const reaches = all.maps
    .filter((map) => layer === undefined || map.layer === layer)
    .map((map) => ({ layer: map.layer, head: map.head, reach: reachOf(map.values, all) }));
  const most = Math.max(...reaches.map(({ reach }) => reach));
  const { layer: at, head } = reaches.find(({ reach }) => reach === most) ?? { layer: layer ?? 0, head: 0 };
  return { layer: at, head };
};

/** Column with a row's strongest attention. */
export const strongestOf = (row: readonly number[]): number =>
  row.reduce((best, value, column) => (value > (row[best] ?? 0) ? column : best), 0);

/** Row that contains a position; otherwise the last row. */
export const rowOf = (rows: readonly Span[], position: number): number => {
  const found = rows.findIndex(({ from, to }) => position >= from && position < to);
  return found === -1 ? Math.max(0, rows.length - 1) : found;
};

/** A list is cut only if this would hide at least this number of rows. Otherwise the whole list is shown. */
const leastHidden = 1.5;

/** Whether a list is shown whole, even if it is taller than the usual maximum. */
export const isShownWhole = (height: number, most: number, row: number): boolean => height - most < leastHidden * row;
