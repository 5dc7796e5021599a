/** Measures how far patches restore the probability of the answer. */
import type { InsideShape, PatchAnswer, PatchReading } from "../../../src/serve/studio/inside/protocol.ts";

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

/**
 * Whether a patch can change the loss of the text. The loss has no prediction after the last token, and with the causal
 * mask, earlier tokens do not see the last one.
 */
export const canChangeLoss = (
  { position }: Place,
  { shape, tokens }: { readonly shape: Pick<InsideShape, "isCausal">; readonly tokens: PatchAnswer["tokens"] },
): boolean => !shape.isCausal || position < tokens.clean.length - 1;

/** Positions at which the two texts differ. */
export const changedIn = ({ clean, corrupted }: PatchAnswer["tokens"]): readonly number[] =>
  clean.flatMap(({ id }, n) => (id === corrupted[n]?.id ? [] : [n]));

/** If all passes together have at most this number of multiplications, they take at most about ten seconds. */
const quickWork = 3e11;

type Size = Pick<InsideShape, "nLayer" | "parameters">;

const placesIn = ({ nLayer }: Pick<Size, "nLayer">, columns: readonly number[]): readonly Place[] =>
  columns.flatMap((position) => Array.from({ length: nLayer }, (_, layer) => ({ layer, position })));

/** Columns of the changed token and of the last token, where the information is. */
const mainColumns = (time: number, changed: readonly number[]): readonly number[] => [
  ...new Set([...changed.slice(0, 1), time - 1]),
];

/** Places of the columns of the changed token and of the last token. */
export const columnPlaces = (shape: Pick<Size, "nLayer">, time: number, changed: readonly number[]): readonly Place[] =>
  placesIn(shape, mainColumns(time, changed));

/**
 * Places that are tried without a click, in the order in which they are tried. The columns of the changed token and of
 * the last token come first, because the information is there. Only these columns are tried if all places would take too
 * long, and no place if these columns would take too long, too.
 */
export const openingPlaces = (shape: Size, time: number, changed: readonly number[]): readonly Place[] => {
  const main = mainColumns(time, changed);
  const others = Array.from({ length: time }, (_, n) => n).filter((n) => !main.includes(n));
  const isQuick = (some: readonly Place[]): boolean => 2 * some.length * shape.parameters * time <= quickWork;
  const all = placesIn(shape, [...main, ...others]);
  if (isQuick(all)) return all;
  const own = placesIn(shape, main);
  return isQuick(own) ? own : [];
};
