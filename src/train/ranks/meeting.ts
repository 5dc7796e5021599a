/**
 * Checks that all ranks of a run agree on what they must have in common. Ranks that do not agree would train different
 * models, or wait for each other for ever.
 */

import { isRecord } from "../../core/checks/is-record.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { oneLine } from "../../core/text/one-line.ts";
import { showWord } from "../../core/text/show.ts";

/**
 * A rank's options that only rank 0 uses. They are compared before anything is read; differences are reported in this
 * order. A value is null if the option was not given.
 */
export interface RankOptions {
  /** Version of the package. */
  readonly version: string;
  /** The run to resume. */
  readonly resume: string | null;
  /** The run's folder. */
  readonly out: string | null;
  /** Prompt of the samples. */
  readonly prompt: string | null;
  /** Number of checkpoints to keep. */
  readonly keepLast: number | null;
}

/** Facts about a rank's run; differences are reported in this order. */
export interface RankFacts {
  /** Version of the package. */
  readonly version: string;
  readonly backend: string;
  readonly instructionSet: string;
  readonly dtype: string;
  /** Hashes of the text or documents, of the initial weights, and of the models that the run learns from. */
  readonly hashes: { readonly text: string; readonly weights: string; readonly teachers?: string };
  /** null if the model has no chat template. */
  readonly chatTemplate: unknown;
  /** Updates done. */
  readonly step: number;
  /**
   * Progress of the checkpoint that the run resumes from. Its sums and means identify a training run: no other run has
   * equal bits.
   */
  readonly progress: unknown;
  /** The update after which the run stops; null for the last update of the plan. */
  readonly stopAt: number | null;
  /** Number of tokens of the sample at the end. */
  readonly finalSampleTokens: number;
  readonly config: unknown;
}

const labels: Readonly<Record<keyof RankOptions | keyof RankFacts, string>> = {
  version: "version",
  resume: "run to resume (resume)",
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

/**
 * A value for an error. Of a hash, only the first digits are shown. A path or a text also keeps its end, because two of
 * them may differ only there.
 */
const shown = (value: unknown): string => {
  if (typeof value === "string") return showWord(/^[0-9a-f]{64}$/u.test(value) ? value.slice(0, 16) : oneLine(value));
  return value === null ? "none" : String(value);
};

/** @throws ConfigError that names the first rank that differs from rank 0, and the difference. */
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

/** @throws ConfigError if the passes of a step cannot be divided equally between the ranks. */
export const checkDivides = (
  passes: number,
  { gradAccumSteps, batchSize }: { readonly gradAccumSteps: number; readonly batchSize: number },
  size: number,
): void => {
  if (passes % size === 0) return;
  const divided = Math.ceil(gradAccumSteps / size) * size;
  // The hint keeps the number of rows per step, if this number can be divided into equal micro-batches.
  const rows = (batchSize * gradAccumSteps) / divided;
  throw new ConfigError({
    where: "train.gradAccumSteps",
    must: `must be divisible by the number of ranks, ${size}: it counts the micro-batches of all ranks`,
    got: String(gradAccumSteps),
    hint: Number.isInteger(rows)
      ? `${divided} with train.batchSize ${rows}: the same number of tokens per step`
      : String(divided),
  });
};
