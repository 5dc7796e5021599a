/** Where the names of curves stand: each at the end of its own curve, apart from each other. */
import type { Interval, Points } from "./curve.ts";

/** The last point of a line within `range`; undefined where it has none. */
export const endOf = ({ x, y }: Points, range: Interval): { readonly x: number; readonly y: number } | undefined => {
  for (let i = x.length - 1; i >= 0; i--) {
    const [at, value] = [x[i] as number, y[i] as number];
    if (at <= range[1] && at >= range[0] && Number.isFinite(value)) return { x: at, y: value };
  }
  return undefined;
};

/** A name from `x` on, around the height `y`. */
export interface LabelPlace {
  readonly x: number;
  readonly width: number;
  y: number;
}

/** Moves names up that would lie on each other, the lowest one first; those beside each other stay. */
export const placeLabels = (places: readonly LabelPlace[], gap: number): void => {
  const placed: LabelPlace[] = [];
  const meet = (a: LabelPlace, b: LabelPlace): boolean => a.x < b.x + b.width && b.x < a.x + a.width;
  for (const place of places.toSorted((a, b) => b.y - a.y)) {
    // From below to above: a place that was moved up may meet the next one.
    for (const other of placed.toSorted((a, b) => b.y - a.y))
      if (meet(place, other) && Math.abs(place.y - other.y) < gap) place.y = other.y - gap;
    placed.push(place);
  }
};

/** A name of at most `most` characters: the middle of a longer one is an ellipsis, since names differ at their ends. */
export const shortName = (name: string, most: number): string => {
  const characters = [...name];
  if (characters.length <= most) return name;
  const begin = Math.ceil((most - 1) / 2);
  return `${characters.slice(0, begin).join("")}…${characters.slice(begin + 1 - most).join("")}`;
};
