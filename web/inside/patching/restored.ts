/** Measures how far patches restore the probability of the answer. */
import type { PatchAnswer, PatchReading } from "../../../src/serve/studio/inside/protocol.ts";

type Base = Pick<PatchAnswer, "clean" | "corrupted">;

/** Place where an activation is restored. Both numbers count from 0. */
export interface Place {
  readonly layer: number;
  readonly position: number;
}

export const placeKey = ({ layer, position }: Place): string => `${layer} ${position}`;
export const placeName = ({ layer, position }: Place): string => `layer ${layer + 1}, token ${position + 1}`;

/**
 * Place of the shown patch: the reader's choice. If the reader has chosen none, the best place after all requested
 * places are tried.
 */
export const shownPlace = (own: Place | undefined, best: Place | undefined, isUnderWay: boolean): Place | undefined =>
  own ?? (isUnderWay ? undefined : best);

/**
 * The tried place with the best patch. With this patch, the probability of the answer is nearest to its value in the
 * clean text.
 */
export const mostRestored = (found: ReadonlyMap<string, PatchReading>, base: Base) => {
  const way = Math.sign(base.clean.probability - base.corrupted.probability);
  if (found.size < 2 || way === 0) return undefined;
  const [best] = [...found].sort(([, a], [, b]) => way * (b.probability - a.probability));
  if (best === undefined) return undefined;
  const [key, { probability }] = best;
  const [layer = 0, position = 0] = key.split(" ").map(Number);
  return { layer, position, probability };
};

/**
 * Scaled probability of the answer: 0 in the corrupted text, 1 in the clean text. The result is negative if a patch
 * moves the probability away from the clean text.
 */
export const restoredBy = (probability: number, { clean, corrupted }: Base): number => {
  const way = clean.probability - corrupted.probability;
  return way === 0 ? 0 : (probability - corrupted.probability) / way;
};
