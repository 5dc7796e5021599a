/** Checks and settings before a run begins, for texts from files or from memory. */
import type { Backend } from "../../backend/backend.ts";
import { type RunConfig, runConfigSchema } from "../../config/config.ts";
import { configOfFineTuning, derivedOfFineTuning, type FineTuningFacts, isLarge } from "../../config/from-model.ts";
import { configOfText, derivedFields, mergeConfig } from "../../config/from-text.ts";
import { given } from "../../config/given.ts";
import { merge } from "../../config/merge.ts";
import { defaultPreset, presetNames, presets } from "../../config/presets.ts";
import { type FieldNamer, parseConfig } from "../../core/checks/config.ts";
import { plainData } from "../../core/checks/plain-data.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { nearest } from "../../core/text/nearest.ts";
import { show } from "../../core/text/show.ts";
import { checkTokenCounts } from "../../data/batches.ts";
import type { HeldOutOption, TextSplit } from "../../data/corpus.ts";
import type { Documents } from "../../data/documents.ts";
import { type MeasuredTokens, measureTokens } from "../../evaluate/evaluate.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { asksForLora, withLoraDefaults } from "./lora.ts";

/**
 * Checks that the schedule lowers the learning rate. If the learning rate is below the preset's `minLearningRate`, the
 * schedule would raise it.
 * @param changes the caller's changes. A caller who sets `minLearningRate` may let the rate rise.
 * @throws ConfigError if the preset's `minLearningRate` is above the learning rate.
 */
const withFallingRate = (config: RunConfig, changes: unknown, where: string | FieldNamer): RunConfig => {
  const { learningRate, schedule } = config.train;
  if (schedule.kind === "constant" || schedule.minLearningRate <= learningRate) return config;
  const path = ["train", "schedule", "minLearningRate"];
  if (given(changes, path) !== undefined) return config;
  const lower = Number((learningRate / 10).toPrecision(2));
  throw new ConfigError({
    where: typeof where === "string" ? [where, ...path].join(".") : where(path),
    must: `must be at most the learning rate, ${learningRate}`,
    got: `${schedule.minLearningRate}, from the preset`,
    hint: typeof where === "string" ? `minLearningRate: ${lower}` : `--${path.join(".")} ${lower}`,
  });
};

/**
 * Makes the whole configuration from a preset and changes. Later changes replace earlier ones.
 * @param where name of the fields in errors.
 * @param parts parts that replace parts of the preset, such as another model.
 * @throws ConfigError that names the first bad field.
 */
export const resolveConfig = (
  preset: string,
  changes: readonly unknown[],
  where: string | FieldNamer = "config",
  parts: object = {},
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
  const name = typeof where === "string" ? where : "config";
  const all = changes.map((change) => plainData(change, name)).reduce(merge, {});
  const base = withLoraDefaults({ ...presets[known], ...parts }, all);
  return withFallingRate(parseConfig(runConfigSchema, mergeConfig(base, all), where), all, where);
};

/** What is known of a run's configuration before its text is read. */
export interface ConfigPlan {
  /** The configuration for a long text. A shorter text may change the fields that follow from the text. */
  readonly expected: RunConfig;
  /** @throws ConfigError that names the first field that does not fit the defaults of the text. */
  readonly settle: (facts: FineTuningFacts) => RunConfig;
  /** Fields that follow from the text, such as "train.steps"; empty with a preset. */
  readonly derived: readonly string[];
}

/** Plan of a run whose configuration is known already. */
export const settledPlan = (config: RunConfig): ConfigPlan => ({ expected: config, settle: () => config, derived: [] });

const longText: FineTuningFacts = { tokens: 100_000_000, valTokens: 10_000_000, vocabSize: 100 };

/** The parts of a configuration that follow from the initial weights. */
export type PartsOfWeights = Pick<RunConfig, "model" | "tokenizer">;

/**
 * The plan of a new run: a preset, or defaults that follow from its text and its weights, with changes.
 * @param preset if undefined, the defaults are used.
 * @param where name of the fields in errors.
 * @param parts parts of the initial weights, which replace the preset's parts. Default: none.
 * @throws ConfigError that names the first bad field.
 */
export const planConfig = (
  preset: string | undefined,
  changes: readonly unknown[],
  where: string | FieldNamer = "config",
  parts: PartsOfWeights | null = null,
): ConfigPlan => {
  if (preset !== undefined) return settledPlan(resolveConfig(preset, changes, where, parts ?? {}));
  const name = typeof where === "string" ? where : "config";
  const all = changes.map((change) => plainData(change, name)).reduce(merge, {});
  const fixed = parts === null ? all : merge(parts, all);
  const isGentle = ({ rowsPerPass }: FineTuningFacts): boolean =>
    parts !== null && (isLarge(parts.model) || rowsPerPass !== undefined || asksForLora(all));
  const defaults = (facts: FineTuningFacts): RunConfig =>
    parts !== null && isGentle(facts)
      ? { ...parts, ...configOfFineTuning(facts, parts.model, all) }
      : { ...configOfText(facts, fixed), ...parts };
  const settle = (facts: FineTuningFacts): RunConfig =>
    parseConfig(runConfigSchema, mergeConfig(withLoraDefaults(defaults(facts), all), all), where);
  const derived = parts === null || !isGentle(longText) ? derivedFields(fixed) : derivedOfFineTuning(all);
  return { expected: settle(longText), settle, derived };
};

/**
 * Writes the dtype of `backend` into the configuration. The run keeps it, so that a resumed run uses the same dtype on
 * another machine.
 * @throws ConfigError if the configuration asks for another dtype.
 */
export const withDType = (config: RunConfig, { capabilities: { dtype } }: Backend): RunConfig => {
  const { train } = config;
  if (train.dtype !== "auto" && train.dtype !== dtype) {
    throw new ConfigError({
      where: "train.dtype",
      must: "must be the dtype of the opened backend, or auto",
      got: `${train.dtype} with a backend of ${dtype}`,
      hint: `openBackend(name, { dtype: "${train.dtype}" })`,
    });
  }
  return { ...config, train: { ...train, dtype } };
};

/** A tokenized text. */
export interface Prepared {
  readonly config: RunConfig;
  /** Fields of the configuration that follow from the text, such as "train.steps". */
  readonly derived: readonly string[];
  readonly tokenizer: Tokenizer;
  readonly trainTokens: Int32Array;
  readonly val: MeasuredTokens;
  /** The documents that the tokens belong to; absent if the tokens are one text. */
  readonly documents?: PreparedDocuments | undefined;
}

/** Bytes of a run's tokens. Documents have one more byte per token: whether the loss counts it. */
export const bytesOfTokens = ({
  trainTokens,
  val,
  documents,
}: Pick<Prepared, "trainTokens" | "val" | "documents">): number => {
  const tokens = trainTokens.length + val.ids.length;
  return tokens * (Int32Array.BYTES_PER_ELEMENT + (documents === undefined ? 0 : 1));
};

/** Documents to train on. */
export interface PreparedDocuments {
  readonly train: Documents;
  /** Number of rows in one epoch, a pass over all documents. */
  readonly rowsPerPass: number;
  /** Number of tokens of the longest row. */
  readonly longestRow: number;
  /** Prompt of the samples, if the chat template writes it as a question. */
  readonly promptIds: Int32Array | undefined;
  /** Special tokens that end an answer. */
  readonly turnEnds: readonly number[];
}

/** @throws ConfigError if the data is a text and a field says how documents are used. */
const checkNoRows = ({ train }: RunConfig): void => {
  const field = (["rows", "longDocuments"] as const).find((name) => train[name] !== undefined);
  if (field === undefined) return;
  throw new ConfigError({
    where: `config.train.${field}`,
    must: "must be used with documents: a .jsonl file, or a folder of them",
    got: `${show(train[field])} with a text`,
    hint: "leaving it out",
  });
};

/**
 * Encodes the training and the validation text.
 * @param heldOut name of the option that sets the validation part, for hints.
 * @throws DataError if a part is too short for the model, or has unknown characters.
 */
export const prepare = (
  plan: ConfigPlan,
  corpus: TextSplit,
  tokenizer: Tokenizer,
  heldOut: HeldOutOption,
): Prepared => {
  const trainTokens = tokenizer.encode(corpus.train);
  const valTokens = tokenizer.encode(corpus.val);
  const { vocabSize } = tokenizer;
  const config = plan.settle({ tokens: trainTokens.length, valTokens: valTokens.length, vocabSize });
  checkNoRows(config);
  checkTokenCounts({ train: trainTokens.length, val: valTokens.length }, config.model.contextLength, heldOut);
  return { config, derived: plan.derived, tokenizer, trainTokens, val: measureTokens(valTokens, tokenizer) };
};

/** @throws ConfigError if a run that has done `done` steps cannot stop at `stopAt`. */
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
