/** Rows of the lens: each layer, or attention and MLP of each layer. */

import type { LensPosition } from "../../../src/inside/lens.ts";

export type LensRows = "layers" | "parts";

/**
 * Maximum number of stages for which all stages have rows by default. If there are more stages, only the ends of layers
 * have rows.
 */
const most = 13;

/** Stage of the nearest row: the end of the layer that contains `stage`. */
export const rowOfStage = (rows: LensRows, stage: number): number =>
  rows === "parts" ? stage : 2 * Math.ceil(stage / 2);

/**
 * Stages that have rows. Stage 0 is the embedding. After it, each layer has two stages: attention and MLP.
 * @param asked choice in the address.
 * @param chosen stage that must have a row.
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

/**
 * `first`: from this stage on, the final prediction has rank 1. `among`: from this stage on, the final prediction is
 * one of the listed tokens.
 */
export const leadOf = (readings: readonly Reading[]): { readonly first: number; readonly among: number } => {
  const id = readings.at(-1)?.top[0]?.id;
  const since = (holds: (reading: Reading) => boolean): number => readings.findLastIndex((one) => !holds(one)) + 1;
  return {
    first: since(({ top }) => top[0]?.id === id),
    among: since(({ top }) => top.some((one) => one.id === id)),
  };
};

/** Ranks with a grid line: powers of ten below the vocabulary size. */
export const rankLines = (vocabSize: number): readonly number[] =>
  Array.from({ length: Math.max(1, Math.ceil(Math.log10(Math.max(2, vocabSize)))) }, (_, n) => 10 ** n);

/** Maximum number of characters of a token in a narrow column. */
const mostShort = 2;

export const isShortToken = ({ text }: { readonly text: string }): boolean => [...text].length <= mostShort;

/** Whether all tokens of a lens are short, as in character models. With short tokens, more columns fit. */
export const hasShortTokens = (positions: readonly LensPosition[]): boolean =>
  positions.every(({ token, readings }) =>
    [token, ...readings.flatMap(({ top }) => top.slice(0, 1))].every(isShortToken),
  );
