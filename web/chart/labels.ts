/**
 * Positions of the names of curves. Each name is at the end of its curve. Names do not overlap, and they stay within
 * the chart.
 */
import type { Curve, Interval, Points } from "./curve.ts";

/** Last point of a line within `range`. Undefined if the line has no point there. */
export const endOf = ({ x, y }: Points, range: Interval): { readonly x: number; readonly y: number } | undefined => {
  for (let i = x.length - 1; i >= 0; i--) {
    const [at, value] = [x[i] as number, y[i] as number];
    if (at <= range[1] && at >= range[0] && Number.isFinite(value)) return { x: at, y: value };
  }
  return undefined;
};

/** A name that begins at `x`, vertically centred at `y`. */
export interface LabelPlace {
  x: number;
  readonly width: number;
  y: number;
}

/** Area for names. `top` and `bottom` limit the middles of text lines. */
export interface LabelRoom {
  /** Distance between the middles of two text lines. */
  readonly gap: number;
  readonly top: number;
  readonly bottom: number;
  readonly right: number;
}

/** Minimum horizontal distance between names, in lines of text. */
const apart = 0.4;

/** Moves a name to the right if it would cover the end of another curve. */
const behindEnds = (places: readonly LabelPlace[]): readonly number[] =>
  places.map(({ x, width }) =>
    places
      .map((other) => other.x)
      .toSorted((a, b) => a - b)
      .reduce((at, end) => (end > at && end < at + width ? end : at), x),
  );

/** Groups of names that would overlap if all had the same height, directly or through other names. */
const groupsOf = (places: readonly LabelPlace[], between: number): readonly (readonly LabelPlace[])[] => {
  const groups: LabelPlace[][] = [];
  let end = Number.NEGATIVE_INFINITY;
  for (const place of places.toSorted((a, b) => a.x - b.x)) {
    if (place.x >= end + between) groups.push([]);
    groups.at(-1)?.push(place);
    end = Math.max(end, place.x + place.width);
  }
  return groups;
};

/**
 * Nondecreasing values that are nearest to `values` (isotonic regression). Neighbours that decrease are replaced by
 * their mean.
 */
const risingNear = (values: readonly number[]): readonly number[] => {
  const blocks: { sum: number; count: number }[] = [];
  for (const value of values) {
    let block = { sum: value, count: 1 };
    for (let last = blocks.at(-1); last !== undefined && last.sum / last.count > block.sum / block.count; ) {
      block = { sum: last.sum + block.sum, count: last.count + block.count };
      blocks.pop();
      last = blocks.at(-1);
    }
    blocks.push(block);
  }
  return blocks.flatMap(({ sum, count }) => Array<number>(count).fill(sum / count));
};

/**
 * Moves overlapping names apart and into the area. Each name moves as little as possible, and the vertical order stays
 * the same. If there are more names than lines, the distance between names is smaller than `gap`, but all names stay
 * within the area.
 */
export const placeLabels = (places: readonly LabelPlace[], { gap, top, bottom, right }: LabelRoom): void => {
  for (const [i, x] of behindEnds(places).entries()) {
    const place = places[i];
    if (place !== undefined) place.x = Math.max(0, Math.min(x, right - place.width));
  }
  for (const group of groupsOf(places, apart * gap)) {
    const sorted = group.toSorted((a, b) => a.y - b.y);
    const line = Math.min(gap, (bottom - top) / Math.max(1, sorted.length - 1));
    const wanted = risingNear(sorted.map(({ y }, i) => y - i * line));
    const lowest = bottom - (sorted.length - 1) * line;
    for (const [i, place] of sorted.entries())
      place.y = Math.max(top, Math.min(lowest, wanted[i] ?? place.y)) + i * line;
  }
};

/** Range of heights of a line between two values of x. Undefined if the line has no part between them. */
const heightsWithin = ({ x, y }: Points, from: number, to: number): Interval | undefined => {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  const take = (value: number) => {
    low = Math.min(low, value);
    high = Math.max(high, value);
  };
  let before: { readonly x: number; readonly y: number } | undefined;
  for (let i = 0; i < x.length; i++) {
    const point = { x: x[i] as number, y: y[i] as number };
    if (!Number.isFinite(point.y)) continue;
    if (point.x >= from && point.x <= to) take(point.y);
    if (before !== undefined && before.x < point.x && before.x < to && point.x > from) {
      const slope = (point.y - before.y) / (point.x - before.x);
      for (const at of [Math.max(before.x, from), Math.min(point.x, to)]) take(before.y + slope * (at - before.x));
    }
    before = point;
  }
  return low > high ? undefined : [low, high];
};

/** Minimum distance from the middle of a name to a line, in lines of text. */
const clear = 0.65;
/**
 * Maximum distance that a name moves off a line, in lines of text. If a name were further away, readers would not
 * connect it with its curve.
 */
const farthest = 3;

/**
 * Moves names up or down, so that no line crosses them.
 * @param lines drawn curves, in pixels like `places`.
 * @returns the names that have no free place near the ends of their curves. These names do not move.
 */
export const moveOffLines = (
  places: readonly LabelPlace[],
  lines: readonly Points[],
  { gap, top, bottom }: LabelRoom,
): readonly LabelPlace[] => {
  const apartFrom = (y: number, taken: readonly Interval[]): boolean =>
    taken.every(([low, high]) => y <= low + 1e-6 || y >= high - 1e-6);
  const linedBy = ({ x, width }: LabelPlace): readonly Interval[] =>
    lines.flatMap((line) => {
      const heights = heightsWithin(line, x, x + width);
      return heights === undefined ? [] : [[heights[0] - clear * gap, heights[1] + clear * gap] as const];
    });
  // Names that no line crosses keep their places. The other names move around them.
  const standing = places.filter((place) => apartFrom(place.y, linedBy(place)));
  const crossed: LabelPlace[] = [];
  for (const place of places.filter((one) => !standing.includes(one))) {
    const { x, width } = place;
    const named = standing
      .filter((other) => other.x < x + width && other.x + other.width > x)
      .map((other) => [other.y - gap, other.y + gap] as const);
    const taken = [...linedBy(place), ...named];
    const found = taken
      .flat()
      .filter((y) => y >= top && y <= bottom && Math.abs(y - place.y) <= farthest * gap && apartFrom(y, taken))
      .toSorted((a, b) => Math.abs(a - place.y) - Math.abs(b - place.y))[0];
    if (found === undefined) crossed.push(place);
    else {
      place.y = found;
      standing.push(place);
    }
  }
  return crossed;
};

/**
 * A name of at most `most` characters. A longer name loses its middle, because names usually differ at the beginning or
 * at the end.
 */
export const shortName = (name: string, most: number): string => {
  const characters = [...name];
  if (characters.length <= most) return name;
  const begin = Math.ceil((most - 1) / 2);
  return `${characters.slice(0, begin).join("")}…${characters.slice(begin + 1 - most).join("")}`;
};

const commonBeginning = (names: readonly (readonly string[])[]): number => {
  const [first = []] = names;
  const differs = first.findIndex((character, i) => names.some((name) => name[i] !== character));
  return differs === -1 ? first.length : differs;
};

const isWordEnd = (character: string | undefined): boolean =>
  character === undefined || /[-_=,;:/+\s]/u.test(character);

/**
 * The words of a name that contain the characters from `begin` to `end`, for example "…lr-0.001…". The result has at
 * most `most` characters. The result includes the previous word, too, if this word fits.
 */
const around = (name: readonly string[], begin: number, end: number, most: number): string => {
  const wordFrom = (at: number): number => (isWordEnd(name[at - 1]) ? at : wordFrom(at - 1));
  const wordTo = (at: number): number => (isWordEnd(name[at]) ? at : wordTo(at + 1));
  const shown = (from: number, to: number): string =>
    `${from > 0 ? "…" : ""}${name.slice(from, to).join("")}${to < name.length ? "…" : ""}`;
  const [from, to] = [wordFrom(begin), wordTo(end)];
  const ways = [shown(from > 0 ? wordFrom(from - 1) : 0, to), shown(from, to), shown(begin, end)];
  return ways.find((way) => [...way].length <= most) ?? shortName(name.slice(begin, end).join(""), most);
};

/** Shortens names that would otherwise look the same. The part in which the names differ stays. */
const differingParts = (names: readonly string[], most: number): ReadonlyMap<string, string> => {
  const all = names.map((name) => [...name]);
  const begin = commonBeginning(all);
  const shortest = Math.min(...all.map(({ length }) => length));
  const end = Math.min(shortest - begin, commonBeginning(all.map((name) => name.toReversed())));
  return new Map(all.map((name, i) => [names[i] ?? "", around(name, begin, name.length - end, most)]));
};

/**
 * Distinct names of at most `most` characters, in the given order. If several names have the same beginning and end,
 * their shortened names show the part that differs.
 */
export const shortNames = (names: readonly string[], most: number): readonly string[] => {
  const distinct = [...new Set(names)];
  const shown = new Map(distinct.map((name) => [name, shortName(name, most)]));
  const alike = (name: string): readonly string[] => distinct.filter((other) => shown.get(other) === shown.get(name));
  for (const group of distinct.map(alike))
    if (group.length > 1) for (const [name, part] of differingParts(group, most)) shown.set(name, part);
  const numbered = (name: string): string => {
    const number = ` ${distinct.indexOf(name) + 1}`;
    return `${shortName(name, most - number.length)}${number}`;
  };
  return names.map((name) => (alike(name).length > 1 ? numbered(name) : (shown.get(name) ?? name)));
};

/**
 * Names of at most `most` characters for the curves of a chart. Curves with own shorter names are not cut: all of them
 * have the label, or all have a shorter name.
 * @param shortest the shortest names that the place may use. They are used even if they do not fit.
 */
export const fittingNames = (
  curves: readonly Pick<Curve, "label" | "shorter">[],
  most: number,
  shortest: "short" | "tag",
): readonly string[] => {
  const labels = curves.map(({ label }) => label);
  const shorter = curves.flatMap((curve) => curve.shorter ?? []);
  if (shorter.length < curves.length) return shortNames(labels, most);
  const short = shorter.map((one) => one.short);
  const forms = shortest === "short" ? [labels, short] : [labels, short, shorter.map(({ tag }) => tag)];
  return forms.find((names) => names.every((name) => [...name].length <= most)) ?? forms.at(-1) ?? labels;
};
