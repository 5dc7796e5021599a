/** Default configuration for a text of the user, without a preset: docs/recipe.md. */
import { isRecord } from "../core/checks/is-record.ts";
import { mostEmbd } from "../models/config.ts";
import type { RunConfig } from "./config.ts";
import { given, wholeNumber } from "./given.ts";
import { merge } from "./merge.ts";
import { presets } from "./presets.ts";

/** What the default configuration for a text depends on. */
export interface TextFacts {
  /** Number of training tokens. */
  readonly tokens: number;
  /** Distinct tokens. */
  readonly vocabSize: number;
}

/** Sizes of the model for texts of at least `tokens` tokens. */
interface Size {
  readonly tokens: number;
  readonly nLayer: number;
  readonly nEmbd: number;
  readonly contextLength: number;
  readonly batchSize: number;
  readonly dropout: number;
  /**
   * Number of passes over a text of `tokens` tokens. Between two listed sizes, the number of passes is interpolated as
   * a power of the number of tokens.
   */
  readonly passes: number;
}

const sizes: readonly Size[] = [
  { tokens: 0, nLayer: 2, nEmbd: 64, contextLength: 32, batchSize: 16, dropout: 0.3, passes: 80 },
  { tokens: 15_000, nLayer: 4, nEmbd: 128, contextLength: 64, batchSize: 16, dropout: 0.2, passes: 28 },
  { tokens: 150_000, nLayer: 4, nEmbd: 128, contextLength: 128, batchSize: 32, dropout: 0.1, passes: 18 },
  { tokens: 1_500_000, nLayer: 6, nEmbd: 192, contextLength: 128, batchSize: 32, dropout: 0, passes: 12 },
];

/**
 * Maximum number of steps. Longer texts would profit from more steps, but this number already takes over ten minutes on
 * two cores with AMX.
 */
const mostSteps = 4000;

/** Channels of a head. */
const headDim = 32;

/**
 * Hidden width of SwiGLU and GEGLU: 8/3 of the channels, rounded to a multiple of 8. With this width the layer has as
 * many weights as a GELU layer with 4 times the channels.
 */
const gatedHidden = (nEmbd: number): number => Math.max(8, Math.round((nEmbd * 8) / 3 / 8) * 8);

/**
 * Number of heads of about 32 channels. The heads divide `nEmbd` into parts of an even number of channels, as rotary
 * positions need. The result is 1 if there is no such number.
 */
const headsOf = (nEmbd: number): number => {
  const most = Math.max(1, Math.round(nEmbd / headDim));
  for (let heads = most; heads > 1; heads--) if (nEmbd % heads === 0 && (nEmbd / heads) % 2 === 0) return heads;
  return 1;
};

/** When passes are interpolated, this number replaces the `tokens` of the first size, which is 0. */
const fewestTokens = 1500;

/** Number of passes over a text of at least `fewestTokens` tokens. */
const passesFor = (tokens: number): number => {
  const points = sizes.map((size) => ({ tokens: Math.max(fewestTokens, size.tokens), passes: size.passes }));
  const upper = points.findIndex((point) => point.tokens > tokens);
  if (upper < 0) return (points.at(-1) as (typeof points)[number]).passes;
  const [low, high] = [points[upper - 1], points[upper]] as [(typeof points)[number], (typeof points)[number]];
  const share = Math.log(tokens / low.tokens) / Math.log(high.tokens / low.tokens);
  return low.passes * (high.passes / low.passes) ** share;
};

/** Occurrences of a token, on average, up to which a text gets a quarter of the steps, and from which all steps. */
const occurrences = { rare: 35, usual: 100 };

/**
 * Share of the usual steps. A model memorizes a text with many distinct tokens that each occur rarely, such as a short
 * Chinese text, in a quarter of the usual steps. Between the two bounds, the share is a power of the number of
 * occurrences.
 */
const shareOfSteps = ({ tokens, vocabSize }: TextFacts): number => {
  if (vocabSize <= 256) return 1;
  const { rare, usual } = occurrences;
  const rarity = Math.log(usual / (tokens / vocabSize)) / Math.log(usual / rare);
  return 4 ** -Math.min(1, Math.max(0, rarity));
};

const stepsFor = (facts: TextFacts, { contextLength, batchSize }: Size): number => {
  const tokens = Math.max(fewestTokens, facts.tokens);
  const passes = passesFor(tokens) * shareOfSteps(facts);
  const steps = (passes * tokens) / (contextLength * batchSize);
  // Rounds to a number that is easy to read and is a multiple of the evaluation interval.
  const unit = steps < 1000 ? 50 : 100;
  return Math.min(mostSteps, Math.max(unit, Math.round(steps / unit) * unit));
};

const sizeFor = (tokens: number): Size => sizes.findLast((size) => size.tokens <= tokens) as Size;

/** Usual number of evaluations of a run. */
const mostEvaluations = 10;

/**
 * Number of evaluations of a run. An evaluation has no backward pass, so a token costs a third of a token of training.
 * The evaluations of a run with few steps cost at most half as much as its steps, or there is only one evaluation.
 * @param perStep number of tokens of a step.
 */
const evaluationsFor = ({ tokens }: TextFacts, steps: number, perStep: number): number => {
  // By default, a tenth of the text is held out.
  const cost = tokens / 9 / 3 / perStep;
  return Math.max(1, Math.min(mostEvaluations, Math.floor(steps / (2 * cost))));
};

/**
 * Default configuration for a text. It adapts to `changes` but does not contain them. The number of heads and the
 * hidden width follow `model.nEmbd`. The number of steps keeps the total number of tokens. The intervals follow the
 * steps.
 * @param changes unchecked; errors in them are found when they are merged and parsed.
 */
export const configOfText = (facts: TextFacts, changes: unknown = {}): RunConfig => {
  const { tokens } = facts;
  const { shakespeare } = presets;
  const size = sizeFor(tokens);
  const wanted = (field: string) => wholeNumber(given(changes, field.split(".")));
  const nEmbd = wanted("model.nEmbd") ?? size.nEmbd;
  // If `nEmbd` is too large, only the field `nEmbd` gets an error, not the fields that follow from it.
  const followed = Math.min(nEmbd, mostEmbd);
  // A context longer than the text cannot be trained.
  const contextLength = Math.max(1, Math.min(size.contextLength, tokens - 1));
  const perStep =
    (wanted("model.contextLength") ?? contextLength) *
    (wanted("train.batchSize") ?? size.batchSize) *
    (wanted("train.gradAccumSteps") ?? 1);
  const fitted = Math.max(1, Math.round((stepsFor(facts, size) * contextLength * size.batchSize) / perStep));
  const steps = wanted("train.steps") ?? fitted;
  const evalInterval =
    wanted("train.evalInterval") ?? Math.max(1, Math.round(steps / evaluationsFor(facts, steps, perStep)));
  return {
    ...shakespeare,
    model: {
      ...shakespeare.model,
      contextLength,
      nLayer: size.nLayer,
      nHead: headsOf(followed),
      nEmbd,
      mlp: { kind: "swiglu", hidden: gatedHidden(followed) },
      dropout: size.dropout,
    },
    train: {
      ...shakespeare.train,
      steps,
      batchSize: size.batchSize,
      evalInterval,
      checkpointInterval: evalInterval,
      patience: 3,
      sampleTokens: 120,
    },
  };
};

/**
 * Merges `changes` into `base`. If `changes` name a gated MLP without a hidden width, it gets the width that follows
 * from the channels, or the width of the other gated kind in `base`.
 */
export const mergeConfig = (base: unknown, changes: unknown): unknown => {
  const merged = merge(base, changes);
  const path = ["model", "mlp"];
  const mlp = given(merged, path);
  if (!isRecord(mlp) || (mlp.kind !== "swiglu" && mlp.kind !== "geglu") || mlp.hidden !== undefined) return merged;
  const nEmbd = wholeNumber(given(merged, ["model", "nEmbd"]));
  if (nEmbd === undefined) return merged;
  const hidden = wholeNumber(given(base, [...path, "hidden"])) ?? gatedHidden(Math.min(nEmbd, mostEmbd));
  return merge(merged, { model: { mlp: { hidden } } });
};

/** Fields whose default depends on the text. Most of them depend on the size of the text. */
const derived = [
  "model.nLayer",
  "model.nHead",
  "model.nEmbd",
  "model.contextLength",
  "model.mlp.hidden",
  "model.dropout",
  "train.steps",
  "train.batchSize",
  "train.evalInterval",
  "train.checkpointInterval",
  "train.patience",
];

/** Fields that get a default from the text, because `changes` does not set them. */
export const derivedFields = (changes: unknown): readonly string[] =>
  derived.filter((field) => given(changes, field.split(".")) === undefined);
