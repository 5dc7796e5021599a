/** What the attention view shows first, before the reader chooses anything. */
import type { HeadPlace } from "../../../src/inside/heads.ts";
import type { AttentionAnswer, Span } from "../../../src/serve/studio/inside/protocol.ts";

type Maps = Pick<AttentionAnswer, "columns" | "rows" | "maps">;

const middle = (span: Span | undefined): number => (span === undefined ? 0 : (span.from + span.to - 1) / 2);

/**
 * Average distance in tokens that the last row of a map looks back. Attention to the first token counts as distance 0,
 * because many idle heads attend to the first token.
 */
const reachOf = (values: readonly (readonly number[])[], columns: readonly Span[], own: number): number =>
  (values.at(-1) ?? []).reduce(
    (sum, value, n) => sum + (columns[n]?.from === 0 ? 0 : value * Math.abs(own - middle(columns[n]))),
    0,
  );

/**
 * The head that looks back furthest in its last row, in one layer or in all layers. If several heads look back equally
 * far, this is the first of them.
 */
export const openingHead = ({ maps, rows, columns }: Maps, layer: number | undefined): HeadPlace => {
  const own = middle(rows.at(-1));
  const reaches = maps
    .filter((map) => layer === undefined || map.layer === layer)
    .map((map) => ({ layer: map.layer, head: map.head, reach: reachOf(map.values, columns, own) }));
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
