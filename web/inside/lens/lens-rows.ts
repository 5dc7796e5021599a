/** Rows of the lens: each layer, or attention and MLP of each layer. */

import type { LensPosition, LensReading } from "../../../src/inside/lens.ts";
import { listWords, rangesWords, runsOf } from "../ranges.ts";

export type LensRows = "layers" | "parts";

/**
 * Maximum number of stages for which all stages have rows by default. If there are more stages, only the ends of layers
 * have rows.
 */
const most = 13;

/** Stage of the nearest row: the end of the layer that contains `stage`. */
export const rowOfStage = (rows: LensRows, stage: number): number =>
  rows === "parts" ? stage : 2 * Math.ceil(stage / 2);

export interface ShownRows {
  readonly rows: LensRows;
  readonly stages: readonly number[];
}

/**
 * Stages that have rows. Stage 0 is the embedding. After it, each layer has two stages: attention and MLP.
 * @param asked choice in the address.
 * @param chosen stage that must have a row.
 */
export const lensRows = (count: number, asked: string | null, chosen: number): ShownRows => {
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
 * `first`: from this row on, the final prediction always has rank 1. `before`: earlier rows in which it has rank 1, too.
 * `among`: from this row on, the final prediction is one of the listed tokens.
 * @param readings readings of the shown rows.
 */
export const leadOf = (
  readings: readonly Reading[],
): { readonly first: number; readonly before: readonly number[]; readonly among: number } => {
  const id = readings.at(-1)?.top[0]?.id;
  const since = (holds: (reading: Reading) => boolean): number => readings.findLastIndex((one) => !holds(one)) + 1;
  const isFirst = ({ top }: Reading): boolean => top[0]?.id === id;
  const first = since(isFirst);
  return {
    first,
    before: readings.flatMap((one, row) => (row < first && isFirst(one) ? [row] : [])),
    among: since(({ top }) => top.some((one) => one.id === id)),
  };
};

/** Name of a stage inside a sentence. */
export const stageWords = ({ stage }: Pick<LensReading, "stage">, rows: LensRows): string => {
  if (stage.kind === "embedding") return "the embedding";
  const layer = `layer ${stage.layer + 1}`;
  return rows === "layers" ? layer : `${layer} ${stage.kind === "attention" ? "attention" : "MLP"}`;
};

/** Rows in words: `layers 1 and 12 to 28`, or the first and the last stage of each range. */
const beforeWords = (before: readonly number[], readings: readonly LensReading[], rows: LensRows): string => {
  const words = (row: number): string => {
    const reading = readings[row];
    return reading === undefined ? "" : stageWords(reading, rows);
  };
  const layers = before.filter((row) => readings[row]?.stage.kind !== "embedding");
  const embedding = before.length > layers.length ? ["the embedding"] : [];
  if (rows === "layers") {
    const named = layers.length === 0 ? [] : [`layer${layers.length === 1 ? "" : "s"} ${rangesWords(layers)}`];
    return [...embedding, ...named].join(" and ");
  }
  return listWords(runsOf(before).map(([from, to]) => (from === to ? words(from) : `${words(from)} to ${words(to)}`)));
};

/** From which row on the final prediction stays first, and from which row on it is one of the likeliest tokens. */
export const leadWords = (all: readonly LensReading[], { rows, stages }: ShownRows): readonly string[] => {
  const readings = stages.flatMap((stage) => all[stage] ?? []);
  const { first, before, among } = leadOf(readings);
  const at = (row: number): string => {
    const reading = readings[row];
    return reading === undefined ? "" : stageWords(reading, rows);
  };
  const also = before.length === 0 ? "" : ` (also first in ${beforeWords(before, readings, rows)})`;
  const verb = before.length > 0 ? "stays first" : "ranks first";
  return [
    `This token ${verb} from ${at(first)} on${also}.`,
    ...(among < first
      ? [`From ${at(among)} on, this token is one of the ${readings.at(-1)?.top.length} likeliest tokens.`]
      : []),
  ];
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
