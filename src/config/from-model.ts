/** Default configuration for fine-tuning: a run that begins with the weights of a model, without a preset. */
import type { RowKind } from "../data/rows.ts";
import type { ModelConfig } from "../models/config.ts";
import { modelLayout } from "../models/model.ts";
import { defaultRows, type RunConfig } from "./config.ts";
import type { TextFacts } from "./from-text.ts";
import { given, wholeNumber } from "./given.ts";
import { presets } from "./presets.ts";

/** What the defaults depend on. */
export interface FineTuningFacts extends TextFacts {
  /** Number of validation tokens. */
  readonly valTokens: number;
  /** For documents: number of training rows, each of at most `contextLength` tokens. Absent if the data is one text. */
  readonly rowsPerPass?: ((contextLength: number, kind: RowKind) => number) | undefined;
}

/**
 * Maximum length of the default window. For a text of this size, the attention and activations of a longer window would
 * cost more than they improve the model.
 */
const longestWindow = 1024;

/** Passes over the text. A pretrained model memorizes a text within few passes. */
const passes = 2;

/** Models with more weights, embedding not counted, are usually pretrained on much text. */
const largeModel = 20_000_000;

/**
 * Whether a model has learned so much that fine-tuning must be gentle. A smaller model was trained here on little text.
 * It learns another text best with the settings of a new model (docs/guides/going-on.md).
 */
export const isLarge = (model: ModelConfig): boolean => modelLayout(model, 1).count > largeModel;

const clamp = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value));

/** Rounds to two significant digits, as people write a learning rate. */
const twoDigits = (value: number): number => Number(value.toPrecision(2));

/**
 * Learning rate of AdamW for all weights. It is 1e-4 for 576 channels and inversely proportional to the number of
 * channels, like the largest useful rate (Yang et al. 2022, "Tensor Programs V"). It is at most a tenth of the rate for
 * a new model, so that the model does not forget.
 */
const rateFor = (nEmbd: number): number => twoDigits(clamp((1e-4 * 576) / nEmbd, 1e-5, 1e-3));

/**
 * Length of the default window. With learned positions it is the model's context. For documents, a long window costs
 * nothing, because they are never padded, and it cuts fewer documents.
 */
const windowFor = (
  { position, contextLength }: ModelConfig,
  { tokens, valTokens, rowsPerPass }: FineTuningFacts,
): number => {
  if (position.kind === "learned") return contextLength;
  const most = Math.min(longestWindow, contextLength);
  return rowsPerPass === undefined ? clamp(Math.min(tokens - 1, valTokens - 1), 1, most) : most;
};

/** Number of rows in a pass over documents (unlimited for a text), and average number of tokens per row. */
const rowsFor = (
  { tokens, rowsPerPass }: FineTuningFacts,
  time: number,
  changes: unknown,
): { readonly rows: number; readonly perRow: number } => {
  if (rowsPerPass === undefined) return { rows: Number.POSITIVE_INFINITY, perRow: time };
  // If no token can be trained, there are no rows. A later check reports this.
  const rows = Math.max(1, rowsPerPass(time, given(changes, ["train", "rows"]) === "one" ? "one" : defaultRows));
  return { rows, perRow: tokens / rows };
};

/** Approximate share of a run's time for evaluations. A forward pass takes a third of a step. */
const evaluationShare = 0.2;

/**
 * Writing a checkpoint of all weights takes as long as training on about this many tokens. The number does not depend on
 * the model's size, because both times grow with the number of weights. Measured with 135 million weights.
 */
const tokensPerCheckpoint = 8000;

/** Maximum time for checkpoints, as a fraction of the time for steps. There is a checkpoint after each evaluation. */
const checkpointShare = 0.5;

/** Maximum number of evaluations of a run. */
const mostEvaluations = 10;

/**
 * Default configuration for fine-tuning all weights of a model on a text: AdamW, and about two passes over the text.
 * Evaluations take about a sixth of the time. The configuration adapts to `changes` but does not contain them.
 * @param changes unchecked; errors in them are found when they are merged and parsed.
 */
export const configOfFineTuning = (
  facts: FineTuningFacts,
  model: ModelConfig,
  changes: unknown = {},
): Pick<RunConfig, "model" | "train"> => {
  const { tokens, valTokens } = facts;
  const { quick } = presets;
  const wanted = (field: string) => wholeNumber(given(changes, field.split(".")));
  const contextLength = windowFor(model, facts);
  const time = wanted("model.contextLength") ?? contextLength;
  const { rows, perRow } = rowsFor(facts, time, changes);
  const most = Math.min(16, rows);
  const batchSize = wanted("train.batchSize") ?? clamp(Math.round((isLarge(model) ? 1024 : 2048) / perRow), 1, most);
  const perStep = perRow * batchSize * (wanted("train.gradAccumSteps") ?? 1);
  const usual = clamp(Math.round((passes * tokens) / perStep), 20, 1000);
  const steps = wanted("train.steps") ?? usual;
  const wished = (evaluationShare * 3 * steps * perStep) / Math.max(1, valTokens);
  // The checkpoint of an adapter is small.
  const whole = given(changes, ["lora"]) === undefined;
  const affordable = whole ? (checkpointShare * steps * perStep) / tokensPerCheckpoint : mostEvaluations;
  const evaluations = clamp(Math.round(Math.min(wished, affordable)), 2, mostEvaluations);
  const evalInterval = wanted("train.evalInterval") ?? Math.max(1, Math.round(steps / evaluations));
  return {
    model: { ...model, contextLength },
    train: {
      ...quick.train,
      steps,
      batchSize,
      learningRate: rateFor(model.nEmbd),
      warmupSteps: Math.min(20, Math.floor(steps / 10)),
      schedule: { kind: "cosine", minLearningRate: 0 },
      optimizer: { kind: "adamw", beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.01 },
      evalInterval,
      checkpointInterval: evalInterval,
      // With few passes, drawing windows with replacement would leave much of the text unread.
      ...(facts.rowsPerPass === undefined ? { windows: "shuffled" as const } : {}),
      patience: 3,
      sampleTokens: 80,
    },
  };
};

/** Fields whose default depends on the model and the text. */
const derived = [
  "model.contextLength",
  "train.steps",
  "train.batchSize",
  "train.learningRate",
  "train.evalInterval",
  "train.checkpointInterval",
  "train.patience",
];

/** Fields that get a default from the model and the text, because `changes` does not set them. */
export const derivedOfFineTuning = (changes: unknown): readonly string[] =>
  derived.filter((field) => given(changes, field.split(".")) === undefined);
