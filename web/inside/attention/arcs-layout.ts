/** Places of the tokens on one line, and the arcs above them. The page and saved pictures have the same layout. */
import type { AttentionAnswer } from "../../../src/serve/studio/inside/protocol.ts";
import { inPercent, percent } from "../../parts/format.ts";
import { clipped, isOne, spanWords, tokenAt } from "../names.ts";
import { listWords } from "../ranges.ts";

/** Width of a character of a name, in pixels: upright names, and smaller turned names. */
const character = 8.5;
const turnedCharacter = 7.3;
/** Minimum distance between upright names, in pixels. */
const gap = 10;
const widest = 56;
/** Minimum distance between the middles of turned names: the height of a line. */
const leastTurned = 15;
const mostTurned = 72;
/** Free pixels at both ends of a line of turned names. */
const aside = 4;
/** Height of the arcs. */
const tall = 110;
/** Minimum attention for an arc. Weaker arcs would be too thin to distinguish. */
export const leastArc = 0.02;
/** Minimum attention for a number below the token. */
const leastNumber = 0.1;

export interface ArcPlace {
  readonly name: string;
  /** Horizontal middle. */
  readonly middle: number;
  /** Box around the name. */
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface Arc {
  readonly column: number;
  readonly value: number;
  readonly path: string;
}

/** Number below a token. */
export interface ArcShare {
  readonly column: number;
  readonly words: string;
}

export interface ArcsLayout {
  readonly width: number;
  readonly height: number;
  /** Whether the names are turned, because upright names are wider than the page. */
  readonly isTurned: boolean;
  /** Vertical middle of the numbers. */
  readonly numbers: number;
  readonly places: readonly ArcPlace[];
  readonly arcs: readonly Arc[];
  /** Attention in percent, from `leastNumber` on. The numbers have a percent sign, if all signs fit. */
  readonly shares: readonly ArcShare[];
}

/** Width of a number with its percent sign, in pixels. */
const shareWidth = 34;

/** Names of the columns. */
export const arcNames = ({ columns, tokens }: Pick<AttentionAnswer, "columns" | "tokens">): readonly string[] =>
  columns.map((span) => (isOne(span) ? clipped(tokenAt(tokens, span.from), 14) : `${span.from + 1}–${span.to}`));

const widthsOf = (names: readonly string[], wide: number): readonly number[] =>
  names.map((name) => Math.max(1, [...name].length) * wide);

const upright = (names: readonly string[], room: number) => {
  const widths = widthsOf(names, character);
  const taken = widths.reduce((sum, wide) => sum + wide, 0);
  const between = Math.max(gap, Math.min(widest, (room - taken) / (names.length + 1)));
  let reached = between;
  const places = names.map((name, n) => {
    const wide = widths[n] ?? 0;
    const left = reached;
    reached += wide + between;
    return { name, middle: left + wide / 2, left: left - 3, top: tall + 2, width: wide + 6, height: 18 };
  });
  return { places, width: reached, height: tall + 34, numbers: tall + 27, isTurned: false };
};

const turned = (names: readonly string[], room: number) => {
  const lengths = widthsOf(names, turnedCharacter);
  const step = Math.max(leastTurned, Math.min(mostTurned, (room - 2 * aside) / names.length));
  const middleOf = (n: number): number => aside + step * (n + 0.5);
  const places = names.map((name, n) => ({
    name,
    middle: middleOf(n),
    left: middleOf(n) - 8,
    top: tall + 17,
    width: 16,
    height: (lengths[n] ?? 0) + 8,
  }));
  const longest = Math.max(0, ...lengths);
  return {
    places,
    width: step * names.length + 2 * aside,
    height: tall + longest + 30,
    numbers: tall + 9,
    isTurned: true,
  };
};

/**
 * @param values attention of the chosen token to each column.
 * @param own column of the chosen token.
 * @param room available width in pixels. The layout may be wider.
 */
export const arcsLayout = (
  names: readonly string[],
  values: readonly number[],
  own: number,
  room: number,
): ArcsLayout => {
  const straight = upright(names, room);
  // A sum of decimals may be greater than the room by a rounding error.
  const layout = straight.width <= room + 0.5 ? straight : turned(names, room);
  const middleOf = (column: number): number => layout.places[column]?.middle ?? 0;
  const shown = values.flatMap((value, column) => (value < leastArc ? [] : [{ value, column }]));
  const b = middleOf(own);
  const furthest = Math.max(1, ...shown.map(({ column }) => Math.abs(b - middleOf(column))));
  const arcs = shown.map(({ value, column }) => {
    const a = middleOf(column);
    // Attention to the token itself is a loop above the token.
    const rise = a === b ? 26 : 14 + (tall - 24) * (Math.abs(b - a) / furthest) ** 0.6;
    const loop = Math.min(14, a);
    const [left, right] = a === b ? [a - loop, a + Math.min(14, layout.width - a)] : [a, b];
    const up = tall - rise * 1.25;
    return { column, value, path: `M${a} ${tall} C${left} ${up} ${right} ${up} ${b} ${tall}` };
  });
  const numbered = values.flatMap((value, column) => (value < leastNumber ? [] : [{ value, column }]));
  // The middles of the numbers, and the points that half a number must keep away from.
  const marks = [-shareWidth / 2, ...numbered.map(({ column }) => middleOf(column)), layout.width + shareWidth / 2];
  const haveSigns = marks.every((mark, n) => n === 0 || mark - (marks[n - 1] ?? 0) >= shareWidth);
  const shares = numbered.map(({ value, column }) => {
    const whole = Math.round(value * 100);
    return { column, words: haveSigns ? inPercent(whole) : String(whole) };
  });
  return { ...layout, arcs, shares };
};

export const arcWidth = (value: number): number => 1 + 7 * value;
export const arcOpacity = (value: number): number => 0.25 + 0.75 * Math.sqrt(value);

/** Number of columns that `arcsWords` names. */
const mostNamed = 3;

/** As `“is” (5) looks at “of” (3) with 40 %, at “The” (1) with 30 % and at itself with 10 %.` */
export const arcsWords = (
  { tokens, rows, columns }: AttentionAnswer,
  values: readonly number[],
  row: number,
): string => {
  const own = rows[row];
  if (own === undefined) return "";
  const best = values
    .map((value, column) => ({ value, span: columns[column] }))
    .filter(({ value }) => value >= leastArc)
    .sort((a, b) => b.value - a.value)
    .slice(0, mostNamed)
    .flatMap(({ value, span }) =>
      span === undefined
        ? []
        : [`at ${span.from === own.from && isOne(span) ? "itself" : spanWords(tokens, span)} with ${percent(value)}`],
    );
  return best.length === 0 ? "" : `${spanWords(tokens, own)} looks ${listWords(best)}.`;
};
