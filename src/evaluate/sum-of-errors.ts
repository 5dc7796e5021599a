/** The sum of two independent errors. Each error is a mixture of Student's t distributions with centre 0. */
import { type StudentPart, studentWithin } from "./half-width.ts";

/** Γ((n + 1) / 2) / Γ(n / 2), by recurrence. */
const gammaRatio = (n: number): number => {
  let ratio = 1 / Math.sqrt(Math.PI);
  for (let i = 1; i < n; i++) ratio = i / 2 / ratio;
  return ratio;
};

const densityOf = (parts: readonly StudentPart[]): ((x: number) => number) => {
  const scaled = parts.map(({ weight, scale, degrees }) => ({
    factor: (weight * gammaRatio(degrees)) / (scale * Math.sqrt(degrees * Math.PI)),
    ...{ scale, degrees },
  }));
  return (x) =>
    scaled.reduce(
      (sum, { factor, scale, degrees }) => sum + factor * (1 + (x / scale) ** 2 / degrees) ** (-(degrees + 1) / 2),
      0,
    );
};

const withinOne = (parts: readonly StudentPart[], width: number): number =>
  parts.reduce((sum, { weight, scale, degrees }) => sum + weight * studentWithin(width / scale, degrees), 0);

/** Number of points for a density, and the range of the points in units of asinh(x / scale). */
const places = 400;
const reach = 8;

/** A distribution, divided into small pieces. */
interface Pieces {
  readonly scale: number;
  /** The middle of each piece, and its probability. */
  readonly pieces: readonly { readonly at: number; readonly mass: number }[];
}

const piecesOf = (parts: readonly StudentPart[]): Pieces => {
  const density = densityOf(parts);
  const scale = Math.max(...parts.map((part) => part.scale));
  const masses = Array.from({ length: places }, (_, i) => {
    const u = (2 * reach * (i + 0.5)) / places - reach;
    const at = scale * Math.sinh(u);
    return { at, mass: density(at) * scale * Math.cosh(u) };
  });
  const all = masses.reduce((sum, { mass }) => sum + mass, 0);
  return { scale, pieces: masses.map(({ at, mass }) => ({ at, mass: mass / all })) };
};

/** The cumulative distribution function. Between the ends of pieces, it is interpolated linearly. */
const belowPieces = ({ scale, pieces }: Pieces): ((x: number) => number) => {
  const ends = [0];
  for (const { mass } of pieces) ends.push((ends.at(-1) ?? 0) + mass);
  return (x) => {
    const place = Math.max(0, Math.min(places, ((Math.asinh(x / scale) + reach) * places) / (2 * reach)));
    const piece = Math.min(places - 1, Math.floor(place));
    return (ends[piece] ?? 0) + (place - piece) * (pieces[piece]?.mass ?? 0);
  };
};

/**
 * Returns a function of `width`: the probability that the absolute value of the sum of two errors is at most `width`.
 *
 * For two t distributions this is the Behrens–Fisher distribution (Fisher 1935, "The fiducial argument in statistical
 * inference"). Bayes' rule with a flat prior gives the same distribution (Jeffreys 1961, "Theory of probability",
 * 5.42). The integral is over y, the error with the narrower distribution: its pieces are small compared with the wider
 * distribution.
 *
 *     P(|x + y| ≤ w) = ∫ f(y) · (F(w − y) − F(−w − y)) dy     y = scale · sinh(u), u at equal distances
 *
 * @param one mixture with weights that add up to 1; empty if there is no error.
 * @param other mixture of the other error.
 */
export const withinSum = (one: readonly StudentPart[], other: readonly StudentPart[]): ((width: number) => number) => {
  if (one.length === 0 || other.length === 0) {
    const parts = one.length === 0 ? other : one;
    return (width) => (parts.length === 0 ? 1 : withinOne(parts, width));
  }
  const [first, second] = [piecesOf(one), piecesOf(other)];
  const [narrow, wide] = first.scale < second.scale ? [first, second] : [second, first];
  const below = belowPieces(wide);
  return (width) =>
    narrow.pieces.reduce((sum, { at, mass }) => sum + mass * (below(width - at) - below(-width - at)), 0);
};
