/** What the attention opens on, while the reader has chosen nothing. */
import type { HeadPlace } from "../../../src/inside/heads.ts";
import type { AttentionAnswer, Span } from "../../../src/serve/studio/inside/protocol.ts";

type Maps = Pick<AttentionAnswer, "columns" | "rows" | "maps">;

const middle = (span: Span | undefined): number => (span === undefined ? 0 : (span.from + span.to - 1) / 2);

/** How far a map's last row looks back on average, in tokens. Attention to the first token does not count: many heads rest there. */
const reachOf = (values: readonly (readonly number[])[], columns: readonly Span[], own: number): number =>
  (values.at(-1) ?? []).reduce(
    (sum, value, n) => sum + (columns[n]?.from === 0 ? 0 : value * Math.abs(own - middle(columns[n]))),
    0,
  );

/** The head whose last row reaches furthest, among those of one layer or of all; the first of equals. */
export const openingHead = ({ maps, rows, columns }: Maps, layer: number | undefined): HeadPlace => {
  const own = middle(rows.at(-1));
  const reaches = maps
    .filter((map) => layer === undefined || map.layer === layer)
    .map((map) => ({ layer: map.layer, head: map.head, reach: reachOf(map.values, columns, own) }));
  const most = Math.max(...reaches.map(({ reach }) => reach));
  const { layer: at, head } = reaches.find(({ reach }) => reach === most) ?? { layer: layer ?? 0, head: 0 };
  return { layer: at, head };
};

/** The column that a row attends to most. */
export const strongestOf = (row: readonly number[]): number =>
  row.reduce((best, value, column) => (value > (row[best] ?? 0) ? column : best), 0);

/** The row with a position; without one the last. */
export const rowOf = (rows: readonly Span[], position: number): number => {
  const found = rows.findIndex(({ from, to }) => position >= from && position < to);
  return found === -1 ? Math.max(0, rows.length - 1) : found;
};

/** Rows of a list that must be hidden before it is cut: less is better shown. */
const leastHidden = 1.5;

/** Whether a list is shown whole, though it is taller than it usually may be. */
export const isShownWhole = (height: number, most: number, row: number): boolean => height - most < leastHidden * row;
