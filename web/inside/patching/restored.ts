/** How far patches bring the answer back. */
import type { PatchAnswer, PatchReading } from "../../../src/serve/studio/inside/protocol.ts";

type Base = Pick<PatchAnswer, "clean" | "corrupted">;

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
