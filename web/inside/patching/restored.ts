/** Measures how far patches restore the probability of the answer. */
import type { InsideShape, PatchAnswer, PatchReading } from "../../../src/serve/studio/inside/protocol.ts";
import { percent } from "../../parts/format.ts";
import { visible } from "../../tokens/surprise.ts";

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

/** Positions at which the two texts differ. */
export const changedIn = ({ clean, corrupted }: PatchAnswer["tokens"]): readonly number[] =>
  clean.flatMap(({ id }, n) => (id === corrupted[n]?.id ? [] : [n]));

/** If all passes together have at most this number of multiplications, they take at most about ten seconds. */
const quickWork = 3e11;

/**
 * Places that are tried without a click, in the order in which they are tried. The columns of the changed token and of
 * the last token come first, because the information is there. Only these columns are tried if all places would take too
 * long, and no place if these columns would take too long, too.
 */
export const openingPlaces = (
  { nLayer, parameters }: Pick<InsideShape, "nLayer" | "parameters">,
  time: number,
  changed: readonly number[],
): readonly Place[] => {
  const own = [...new Set([...changed.slice(0, 1), time - 1])];
  const others = Array.from({ length: time }, (_, n) => n).filter((n) => !own.includes(n));
  const places = (columns: readonly number[]): readonly Place[] =>
    columns.flatMap((position) => Array.from({ length: nLayer }, (_, layer) => ({ layer, position })));
  const isQuick = (some: readonly Place[]): boolean => 2 * some.length * parameters * time <= quickWork;
  const all = [...places(own), ...places(others)];
  if (isQuick(all)) return all;
  return isQuick(places(own)) ? places(own) : [];
};

/** Spaces around a word are left out. */
const quoted = (text: string): string => `“${visible(text.trim() || text)}”`;

/** Describes the two texts in one or two sentences. */
export const differenceWords = ({ tokens, answer, clean, corrupted }: Omit<PatchAnswer, "patched">): string => {
  const [first, ...others] = changedIn(tokens);
  const change =
    first === undefined || others.length > 0
      ? "After the corrupted text"
      : `With ${quoted(tokens.corrupted[first]?.text ?? "")} in place of ${quoted(tokens.clean[first]?.text ?? "")}`;
  const [other] = corrupted.top;
  const instead =
    other === undefined || other.id === answer.id
      ? ""
      : `, and the model predicts ${quoted(other.text)} (${percent(other.probability)})`;
  return `After the clean text, ${quoted(answer.text)} has ${percent(clean.probability)}. ${change}, it has ${percent(corrupted.probability)}${instead}.`;
};

/**
 * Describes in one or two sentences how the information moves from the changed token to the last token. Undefined until
 * both columns are tried, or if the texts differ in several tokens or in the last token.
 */
export const movedWords = (found: ReadonlyMap<string, PatchReading>, base: PatchAnswer): string | undefined => {
  const { tokens, answer, shape } = base;
  const last = tokens.clean.length - 1;
  const [changed, ...others] = changedIn(tokens);
  if (changed === undefined || changed === last || others.length > 0) return undefined;
  const column = (position: number): readonly number[] =>
    Array.from({ length: shape.nLayer }, (_, layer) => found.get(placeKey({ layer, position }))?.probability ?? -1);
  const [early, late] = [column(changed), column(last)];
  if ([...early, ...late].includes(-1)) return undefined;
  const isBack = (probability: number): boolean => restoredBy(probability, base) >= 0.5;
  const lost = early.findIndex((one) => !isBack(one));
  const before = lost === -1 ? early.length : lost;
  const from = late.findLastIndex((one) => !isBack(one)) + 1;
  const back = quoted(answer.text);
  const start =
    before === 0
      ? `Copied at token ${changed + 1} after layer 1, the clean activation brings ${back} back only to ${percent(early[0] ?? 0)}: layer 1 has already moved the information.`
      : `Copied at token ${changed + 1}, the clean activation brings ${back} back after ${before === 1 ? "layer 1" : `layers 1 to ${before}`} (to ${percent(early[before - 1] ?? 0)}).`;
  const end =
    from < late.length ? ` At the last token, it does so from layer ${from + 1} on (${percent(late[from] ?? 0)}).` : "";
  return start + end;
};
