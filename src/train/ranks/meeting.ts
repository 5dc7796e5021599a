/** What the ranks of a run must have in common: else they would train different models, or wait for each other for ever. */

import { isRecord } from "../../core/checks/is-record.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { oneLine } from "../../core/text/one-line.ts";
import { showWord } from "../../core/text/show.ts";

/**
 * A rank's options, in the order in which differences are told: those that rank 0 alone follows, for all. Compared before
 * anything is read. null: not given.
 */
export interface RankOptions {
  /** Of the package. */
  readonly version: string;
  /** The run to go on with. */
  readonly resume: string | null;
  /** The run's folder. */
  readonly out: string | null;
  /** Of the samples. */
  readonly prompt: string | null;
  /** Checkpoints to keep. */
  readonly keepLast: number | null;
}

/** A rank's facts, in the order in which differences are told. */
export interface RankFacts {
  /** Of the package. */
  readonly version: string;
  readonly backend: string;
  readonly instructionSet: string;
  readonly dtype: string;
  /** The text's, or the documents', with the weights' that the run begins with. */
  readonly hashes: { readonly text: string; readonly weights: string };
  /** null: the model has none. */
  readonly chatTemplate: unknown;
  /** Updates done. */
  readonly step: number;
  /** Sums and means of the checkpoint that the run goes on from: those of no other training are the same to the bit. */
  readonly progress: unknown;
  /** The update to stop at; null: the last one. */
  readonly stopAt: number | null;
  /** Tokens of the sample at the end. */
  readonly finalSampleTokens: number;
  readonly config: unknown;
}

const labels: Readonly<Record<keyof RankOptions | keyof RankFacts, string>> = {
  version: "version",
  resume: "run to go on with (resume)",
  out: "run's folder (out)",
  prompt: "prompt of the samples",
  keepLast: "number of checkpoints to keep (keepLast)",
  backend: "backend",
  instructionSet: "instruction set",
  dtype: "dtype",
  hashes: "SHA-256 of",
  chatTemplate: "chat template",
  step: "steps done",
  progress: "checkpoint's",
  stopAt: "step to stop at",
  finalSampleTokens: "length of the last sample",
  config: "configuration",
};

/** The first place where two values differ: its path, and both values. */
const differenceOf = (
  one: unknown,
  other: unknown,
  path: readonly string[] = [],
): { readonly path: readonly string[]; readonly values: readonly [unknown, unknown] } | undefined => {
  if (Object.is(one, other)) return undefined;
  if (isRecord(one) && isRecord(other)) {
    for (const key of new Set([...Object.keys(one), ...Object.keys(other)])) {
      const found = differenceOf(one[key], other[key], [...path, key]);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (Array.isArray(one) && Array.isArray(other)) return differenceOf({ ...one }, { ...other }, path);
  return { path, values: [one, other] };
};

/** Of a hash the beginning; a path or a text is told from another by its end, too. */
const shown = (value: unknown): string => {
  if (typeof value === "string") return showWord(/^[0-9a-f]{64}$/u.test(value) ? value.slice(0, 16) : oneLine(value));
  return value === null ? "none" : String(value);
};

/** @throws ConfigError naming the first rank that differs from rank 0, and in what. */
export const checkSameFacts = (all: readonly (RankOptions | RankFacts)[]): void => {
  const [first] = all;
  for (const [rank, facts] of all.entries()) {
    const found = differenceOf(first, facts);
    if (found === undefined) continue;
    const [fact = "", ...rest] = found.path;
    const [one, other] = found.values;
    throw new ConfigError({
      where: `rank ${rank} of ${all.length}`,
      must: `must have the ${[labels[fact as keyof typeof labels] ?? fact, rest.join(".")].join(" ").trim()} of rank 0`,
      got: `${shown(other)} and ${shown(one)}`,
    });
  }
};

/** @throws ConfigError unless each rank gets as many passes of a step. */
export const checkDivides = (
  passes: number,
  { gradAccumSteps, batchSize }: { readonly gradAccumSteps: number; readonly batchSize: number },
  size: number,
): void => {
  if (passes % size === 0) return;
  const divided = Math.ceil(gradAccumSteps / size) * size;
  // With as many rows a step as before, where they can be divided so.
  const rows = (batchSize * gradAccumSteps) / divided;
  throw new ConfigError({
    where: "train.gradAccumSteps",
    must: `must be divisible by the number of ranks, ${size}: it counts the micro-batches of all ranks`,
    got: String(gradAccumSteps),
    hint: Number.isInteger(rows) ? `${divided} with train.batchSize ${rows}: as many tokens a step` : String(divided),
  });
};
