/** The configuration of a run that begins with a model's weights, where neither a preset nor the fields are given. */
import type { RowKind } from "../data/rows.ts";
import type { ModelConfig } from "../models/config.ts";
import { modelLayout } from "../models/model.ts";
import { defaultRows, type RunConfig } from "./config.ts";
import type { TextFacts } from "./from-text.ts";
import { given, wholeNumber } from "./given.ts";
import { presets } from "./presets.ts";

/** What the defaults follow from. */
export interface FineTuningFacts extends TextFacts {
  /** Tokens that are held out. */
  readonly valTokens: number;
  /** Of documents: how many rows of at most `contextLength` tokens those to learn from are. Absent: they are one text. */
  readonly rowsPerPass?: ((contextLength: number, kind: RowKind) => number) | undefined;
}

/** Longest default window: attention and activations of a longer one cost more than a text of this size gains. */
const longestWindow = 1024;

/** Passes over the text: a model that has read much learns a text by heart in few. */
const passes = 2;

/** Parameters besides the embedding of a model that has read much, as a rule. */
const largeModel = 20_000_000;

/**
 * Whether a model has so much to forget that it must be tuned gently. A smaller one, trained here on a text or two, learns
 * another text best as a new model would (docs/guides/going-on.md).
 */
export const isLarge = (model: ModelConfig): boolean => modelLayout(model, 1).count > largeModel;

const clamp = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value));

/** Two digits, as people write a learning rate. */
const twoDigits = (value: number): number => Number(value.toPrecision(2));

/**
 * Learning rate of AdamW for all weights: 1e-4 for 576 channels, and inversely proportional to them, as the largest useful rate
 * is (Yang et al. 2022, "Tensor Programs V"). A tenth or less of what a model needs from the start: it must not forget.
 */
const rateFor = (nEmbd: number): number => twoDigits(clamp((1e-4 * 576) / nEmbd, 1e-5, 1e-3));

/**
 * The default window: positions that are learned have weights, and no others. Documents are never made longer, so a long
 * window costs them nothing, and cuts fewer of them.
 */
const windowFor = (
  { position, contextLength }: ModelConfig,
  { tokens, valTokens, rowsPerPass }: FineTuningFacts,
): number => {
  if (position.kind === "learned") return contextLength;
  const most = Math.min(longestWindow, contextLength);
  return rowsPerPass === undefined ? clamp(Math.min(tokens - 1, valTokens - 1), 1, most) : most;
};

/** Rows of a pass over documents, of a text as many as may be drawn; and the tokens of a row, on average. */
const rowsFor = (
  { tokens, rowsPerPass }: FineTuningFacts,
  time: number,
  changes: unknown,
): { readonly rows: number; readonly perRow: number } => {
  if (rowsPerPass === undefined) return { rows: Number.POSITIVE_INFINITY, perRow: time };
  // Without a token that counts there is no row: an error later.
  const rows = Math.max(1, rowsPerPass(time, given(changes, ["train", "rows"]) === "one" ? "one" : defaultRows));
  return { rows, perRow: tokens / rows };
};

/** The share of a run's time that its evaluations may take, about: a forward pass is a third of a step. */
const evaluationShare = 0.2;

/**
 * The default configuration of fine-tuning all weights of a model on a text, for given changes: AdamW, about two passes over the
 * text, evaluations that take about a sixth of the time. The changes themselves are not merged.
 * @param changes of any kind: faults in them are found when they are merged and parsed.
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
  const evaluations = clamp(Math.round((evaluationShare * 3 * steps * perStep) / Math.max(1, valTokens)), 2, 10);
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
      // Of a few passes over a text, a draw with replacement would leave much of it unread.
      ...(facts.rowsPerPass === undefined ? { windows: "shuffled" as const } : {}),
      patience: 3,
      sampleTokens: 80,
    },
  };
};

/** Fields that fine-tuning sets by the model and the text. */
const derived = [
  "model.contextLength",
  "train.steps",
  "train.batchSize",
  "train.learningRate",
  "train.evalInterval",
  "train.checkpointInterval",
  "train.patience",
];

/** Fields of the default configuration that follow from model and text, since `changes` do not name them. */
export const derivedOfFineTuning = (changes: unknown): readonly string[] =>
  derived.filter((field) => given(changes, field.split(".")) === undefined);
