/** The rows of the lens: each layer, or the attention and the MLP of each. */

import type { LensPosition } from "../../../src/inside/lens.ts";

export type LensRows = "layers" | "parts";

/** Of more stages than so many, only those at the ends of layers have rows, unless others are asked for. */
const most = 13;

/** The stage at a row of the choice that is nearest to one: the end of the layer that it is in. */
export const rowOfStage = (rows: LensRows, stage: number): number =>
  rows === "parts" ? stage : 2 * Math.ceil(stage / 2);

/**
 * Which stages have rows. Stage 0 is the embedding; then each layer has two, its attention and its MLP.
 * @param asked of the address.
 * @param chosen a stage that must have one.
 */
export const lensRows = (
  count: number,
  asked: string | null,
  chosen: number,
): { readonly rows: LensRows; readonly stages: readonly number[] } => {
  const usual: LensRows = count > most ? "layers" : "parts";
  const wanted = asked === "layers" || asked === "parts" ? asked : usual;
  const rows = rowOfStage(wanted, chosen) === chosen ? wanted : "parts";
  const stages = Array.from({ length: count }, (_, n) => n);
  return { rows, stages: stages.filter((n) => rowOfStage(rows, n) === n) };
};

interface Reading {
  readonly top: readonly { readonly id: number }[];
}

/** From which stage on the last stage's first token stays the first one, and from which on it stays among those that are named. */
export const leadOf = (readings: readonly Reading[]): { readonly first: number; readonly among: number } => {
  const id = readings.at(-1)?.top[0]?.id;
  const since = (holds: (reading: Reading) => boolean): number => readings.findLastIndex((one) => !holds(one)) + 1;
  return {
    first: since(({ top }) => top[0]?.id === id),
    among: since(({ top }) => top.some((one) => one.id === id)),
  };
};

/** Ranks that have a line: powers of ten below the size of the vocabulary. */
export const rankLines = (vocabSize: number): readonly number[] =>
  Array.from({ length: Math.max(1, Math.ceil(Math.log10(Math.max(2, vocabSize)))) }, (_, n) => 10 ** n);

/** Characters of a token that a narrow column holds. */
const mostShort = 2;

export const isShortToken = ({ text }: { readonly text: string }): boolean => [...text].length <= mostShort;

/** Whether all tokens of a lens are short, as those of a model of characters are: more columns fit. */
export const hasShortTokens = (positions: readonly LensPosition[]): boolean =>
  positions.every(({ token, readings }) =>
    [token, ...readings.flatMap(({ top }) => top.slice(0, 1))].every(isShortToken),
  );
