/** How far patches bring the answer back. */
import type { PatchAnswer, PatchReading } from "../../../src/serve/studio/inside/protocol.ts";

type Base = Pick<PatchAnswer, "clean" | "corrupted">;

/** Where an activation is put back; both numbers from 0. */
export interface Place {
  readonly layer: number;
  readonly position: number;
}

export const placeKey = ({ layer, position }: Place): string => `${layer} ${position}`;
export const placeName = ({ layer, position }: Place): string => `layer ${layer + 1}, token ${position + 1}`;

/** The place whose patch is shown: the reader's own, else, once all asked for are tried, the best. */
export const shownPlace = (own: Place | undefined, best: Place | undefined, isUnderWay: boolean): Place | undefined =>
  own ?? (isUnderWay ? undefined : best);

/** Of several tried places the one with the answer's probability furthest towards the clean text. */
export const mostRestored = (found: ReadonlyMap<string, PatchReading>, base: Base) => {
  const way = Math.sign(base.clean.probability - base.corrupted.probability);
  if (found.size < 2 || way === 0) return undefined;
  const [best] = [...found].sort(([, a], [, b]) => way * (b.probability - a.probability));
  if (best === undefined) return undefined;
  const [key, { probability }] = best;
  const [layer = 0, position = 0] = key.split(" ").map(Number);
  return { layer, position, probability };
};

/** How far a probability of the answer is on the way from the corrupted text, 0, to the clean one, 1; below 0: it is further off. */
export const restoredBy = (probability: number, { clean, corrupted }: Base): number => {
  const way = clean.probability - corrupted.probability;
  return way === 0 ? 0 : (probability - corrupted.probability) / way;
};
