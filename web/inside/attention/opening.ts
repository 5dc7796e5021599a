/** What the attention view shows first, before the reader chooses anything. */
import type { HeadPlace } from "../../../src/inside/heads.ts";
import type { AttentionAnswer, Span } from "../../../src/serve/studio/inside/protocol.ts";
import { isOne, spanWords } from "../names.ts";

type Maps = Pick<AttentionAnswer, "columns" | "rows" | "maps">;

const middle = (span: Span | undefined): number => (span === undefined ? 0 : (span.from + span.to - 1) / 2);

type Values = readonly (readonly number[])[];

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

/** Strongest attention to a column among the rows after it and before the last row. */
const usualOf = (values: Values, { rows, columns }: Maps, column: number): number =>
  Math.max(
    0,
    ...values.slice(0, -1).flatMap((row, n) => (middle(rows[n]) > middle(columns[column]) ? [row[column] ?? 0] : [])),
  );

/**
 * Attention of a map's last row to each column, times the distance in tokens. Attention to a column counts only if no
 * earlier row pays as much to it: in many heads, most tokens attend to the same early token, and this says nothing about
 * the last token. Attention to the first token does not count at all, because many idle heads attend to the first token.
 */
const reachesOf = (values: Values, all: Maps): readonly number[] => {
  const own = middle(all.rows.at(-1));
  return (values.at(-1) ?? []).map((value, n) => {
    const column = all.columns[n];
    if (column?.from === 0) return 0;
    return Math.max(0, value - usualOf(values, all, n)) * Math.abs(own - middle(column));
  });
};

/**
 * The head that looks back furthest in its last row, in one layer or in all layers. If several heads look back equally
 * far, this is the first of them.
 */
export const openingHead = (all: Maps, layer: number | undefined): HeadPlace => {
  const reaches = all.maps
    .filter((map) => layer === undefined || map.layer === layer)
    .map((map) => ({ layer: map.layer, head: map.head, reach: sumOf(reachesOf(map.values, all)) }));
  const most = Math.max(...reaches.map(({ reach }) => reach));
  const { layer: at, head } = reaches.find(({ reach }) => reach === most) ?? { layer: layer ?? 0, head: 0 };
  return { layer: at, head };
};

/**
 * Column to which the last row of a map looks back in an unusual way: it counts most in the choice of `openingHead`.
 * Undefined if the last row does not look back at any column that counts.
 */
const unusualOf = (values: Values, all: Maps): number | undefined => {
  const reaches = reachesOf(values, all);
  const column = strongestOf(reaches);
  return (reaches[column] ?? 0) > 0 ? column : undefined;
};

/**
 * Says why the view begins with a head: `Shown first: in this head, “is” (5) looks back at “capital” (2), more than any
 * token between them does.` Empty if the head looks back at no token that counts.
 */
export const openingWords = (all: Maps & Pick<AttentionAnswer, "tokens">, head: HeadPlace | undefined): string => {
  const { tokens, rows, columns, maps } = all;
  const values = maps.find((map) => map.layer === head?.layer && map.head === head.head)?.values ?? [];
  const unusual = unusualOf(values, all);
  const [own, other] = [rows.at(-1), unusual === undefined ? undefined : columns[unusual]];
  if (own === undefined || other === undefined) return "";
  const hasBetween = other.to < own.from;
  const looks = isOne(own) ? "looks" : "look";
  return `Shown first: in this head, ${spanWords(tokens, own)} ${looks} back at ${spanWords(tokens, other)}${hasBetween ? ", more than any token between them does" : ""}. `;
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
