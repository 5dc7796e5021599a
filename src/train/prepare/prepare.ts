/** Checks and settings before a run begins, for texts from anywhere. */
import type { Backend } from "../../backend/backend.ts";
import { alternatives } from "../../core/alternatives.ts";
import { type FieldNamer, parseConfig } from "../../core/config.ts";
import { ConfigError } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import { plainData } from "../../core/plain-data.ts";
import { show } from "../../core/show.ts";
import { checkTokenCounts } from "../../data/batches.ts";
import type { TextSplit } from "../../data/corpus.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { type RunConfig, runConfigSchema } from "../config/config.ts";
import { merge } from "../config/merge.ts";
import { defaultPreset, presetNames, presets } from "../config/presets.ts";
import { type MeasuredTokens, measureTokens } from "../measuring/evaluate.ts";

/**
 * The whole configuration: a preset with changes, later changes over earlier ones.
 * @param where the name of the fields in errors.
 * @throws ConfigError naming the first bad field.
 */
export const resolveConfig = (
  preset: string,
  changes: readonly unknown[],
  where: string | FieldNamer = "config",
): RunConfig => {
  const known = presetNames.find((name) => name === preset);
  if (known === undefined) {
    throw new ConfigError({
      where: "preset",
      must: `must be ${alternatives(presetNames)}`,
      got: show(preset),
      hint: (typeof preset === "string" ? nearest(preset, presetNames) : undefined) ?? defaultPreset,
    });
  }
  const given = typeof where === "string" ? where : "config";
  const merged = changes.map((change) => plainData(change, given)).reduce(merge, presets[known]);
  return parseConfig(runConfigSchema, merged, where);
};

/**
 * The configuration with the dtype that `backend` computes in. The run keeps it, so a resumed run continues in the same
 * dtype on another machine.
 * @throws ConfigError if the configuration asks for another.
 */
export const withDType = (config: RunConfig, { capabilities: { dtype } }: Backend): RunConfig => {
  const { train } = config;
  if (train.dtype !== "auto" && train.dtype !== dtype) {
    throw new ConfigError({
      where: "train.dtype",
      must: "must be that of the backend which was opened, or auto",
      got: `${train.dtype} with a backend of ${dtype}`,
      hint: `openBackend(name, { dtype: "${train.dtype}" })`,
    });
  }
  return { ...config, train: { ...train, dtype } };
};

/** A tokenized text. */
export interface Prepared {
  readonly config: RunConfig;
  readonly tokenizer: Tokenizer;
  readonly trainTokens: Int32Array;
  readonly val: MeasuredTokens;
}

/** Encodes both splits. @throws DataError if one is too short for the model, or has unknown characters. */
export const prepare = (config: RunConfig, corpus: TextSplit, tokenizer: Tokenizer): Prepared => {
  const trainTokens = tokenizer.encode(corpus.train);
  const valTokens = tokenizer.encode(corpus.val);
  checkTokenCounts({ train: trainTokens.length, val: valTokens.length }, config.model.contextLength);
  return { config, tokenizer, trainTokens, val: measureTokens(valTokens, tokenizer) };
};

/** @throws ConfigError unless a run that has done `done` steps can stop at `stopAt`. */
export const checkStopAt = (stopAt: number | undefined, done: number): void => {
  if (stopAt === undefined) return;
  if (stopAt <= done) {
    throw new ConfigError({
      where: "stopAt",
      must: `must be a whole number above the ${done} steps done`,
      got: String(stopAt),
    });
  }
};
