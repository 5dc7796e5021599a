import { z } from "zod";
import { type DTypeChoice, dtypeChoices } from "../core/tensors/dtype.ts";
import { float32FromZero, largestFloat32 } from "../core/tensors/float32.ts";
import { type RowKind, rowKinds } from "../data/rows.ts";
import { type WindowKind, windowKinds } from "../data/shuffled-windows.ts";
import { type ModelConfig, modelConfigSchema } from "../models/config.ts";
import { type LoraConfig, loraConfigSchema } from "../models/lora/config.ts";
import {
  type Extension,
  extensionSchema,
  mostExtensions,
  type OptimizerConfig,
  optimizerConfigSchema,
  type ScheduleConfig,
  scheduleConfigSchema,
} from "../optim/config.ts";
import { type TokenizerConfig, tokenizerConfigSchema } from "../tokenizer/config.ts";

const positiveInteger = z.int().positive();
const countOrNone = z.int().min(0);
const ratio = z.number().min(0);

export const nonfiniteActions = ["stop", "skip", "rollback"] as const;
/** What follows a step whose loss or gradient is not finite, or explodes. */
export type NonfiniteAction = (typeof nonfiniteActions)[number];

export const longDocumentActions = ["cut", "refuse"] as const;
/** What is done with a document that is longer than the context. */
export type LongDocumentAction = (typeof longDocumentActions)[number];

/** How windows are drawn where the configuration does not say. */
export const defaultWindows: WindowKind = "random";
/** How documents are taken where the configuration does not say. */
export const defaultRows: RowKind = "packed";
export const defaultLongDocuments: LongDocumentAction = "cut";

/**
 * How a model is trained. Every field but `recomputeActivations` changes the result; other settings that do not (threads,
 * backend) are elsewhere.
 */
export const trainConfigSchema = z.strictObject({
  steps: positiveInteger.describe("optimizer updates"),
  batchSize: positiveInteger.describe("windows in one forward pass (B)"),
  gradAccumSteps: positiveInteger.describe("forward and backward passes per update; a step sees batchSize times this"),
  learningRate: z.number().positive().max(largestFloat32).describe("highest learning rate"),
  warmupSteps: countOrNone.describe("steps of linear warm-up"),
  schedule: scheduleConfigSchema.describe("learning rate after the warm-up"),
  optimizer: optimizerConfigSchema.describe("update rule"),
  maxGradNorm: float32FromZero().describe("clip the global gradient norm to this; 0: never"),
  dtype: z
    .enum(dtypeChoices)
    .default("float32")
    .describe("what products are computed from: bfloat16 is faster where the CPU multiplies it, which auto looks for"),
  seed: z.int().min(0).describe("decides initial weights, batches, dropout and samples"),
  evalInterval: positiveInteger.describe("steps between evaluations of the whole validation split"),
  checkpointInterval: positiveInteger.describe("steps between checkpoints"),
  patience: countOrNone.describe("stop after this many evaluations without a better loss; 0: never"),
  sampleTokens: countOrNone.describe("tokens to write at each evaluation; 0: none"),
  onNonfinite: z
    .enum(nonfiniteActions)
    .default("stop")
    .describe(
      "where a loss or gradient is not finite or explodes: stop, skip the step, or go back to the last checkpoint",
    ),
  maxLossRatio: ratio
    .default(10)
    .describe("a loss above this times the larger of ln(vocabulary size) and the mean loss explodes; 0: never"),
  maxGradNormRatio: ratio
    .default(1000)
    .describe("a gradient norm above this times the mean one explodes, from step 21 on; 0: never"),
  // Absent in a run that keeps them, as in the hash of its configuration.
  recomputeActivations: z
    .boolean()
    .optional()
    .describe(
      "keep each block's input alone and compute the block again in the backward pass: much less memory, same bits, about a third more time; unless given, activations are kept",
    ),
  // Absent in a run that draws them, as in the hash of its configuration.
  windows: z
    .enum(windowKinds)
    .optional()
    .describe(
      "of a text: windows begin at random, or each token comes once before any comes again, in a new order; random unless given or a large model is tuned",
    ),
  // Only in runs on documents, which have both.
  rows: z
    .enum(rowKinds)
    .optional()
    .describe("of documents (.jsonl): a row has as many as fit into the context, or one; packed unless given"),
  longDocuments: z
    .enum(longDocumentActions)
    .optional()
    .describe("documents that are longer than the context are cut into pieces that fit, or refused; cut unless given"),
  // Written by a run that is extended. Absent in all others.
  extensions: z
    .array(extensionSchema)
    .max(mostExtensions)
    .optional()
    .describe("how often and where the run was given more steps"),
});
// The docstrings of the fields are the schema's, for editors: `node scripts/docs/config-docs.mjs` writes them.
/** How a model is trained: steps, batch, optimizer, schedule, evaluation. */
export interface TrainConfig {
  /** Optimizer updates. Whole number from 1. Default: 1000 in the preset `shakespeare`. */
  readonly steps: number;
  /** Windows in one forward pass (B). Whole number from 1. Default: 8 in the preset `shakespeare`. */
  readonly batchSize: number;
  /**
   * Forward and backward passes per update; a step sees batchSize times this. Whole number from 1. Default: 1 in the
   * preset `shakespeare`.
   */
  readonly gradAccumSteps: number;
  /** Highest learning rate. Number above 0. Default: 0.012 in the preset `shakespeare`. */
  readonly learningRate: number;
  /** Steps of linear warm-up. Whole number from 0. Default: 10 in the preset `shakespeare`. */
  readonly warmupSteps: number;
  /** Learning rate after the warm-up. Default: `linear` in the preset `shakespeare`. */
  readonly schedule: ScheduleConfig;
  /** Update rule. Default: `muon` in the preset `shakespeare`. */
  readonly optimizer: OptimizerConfig;
  /** Clip the global gradient norm to this; 0: never. Number from 0. Default: 1 in the preset `shakespeare`. */
  readonly maxGradNorm: number;
  /**
   * What products are computed from: bfloat16 is faster where the CPU multiplies it, which auto looks for. `auto`,
   * `float32` or `bfloat16`. Default: `auto` in the preset `shakespeare`.
   */
  readonly dtype: DTypeChoice;
  /**
   * Decides initial weights, batches, dropout and samples. Whole number from 0. Default: 1 in the preset `shakespeare`.
   */
  readonly seed: number;
  /**
   * Steps between evaluations of the whole validation split. Whole number from 1. Default: 200 in the preset
   * `shakespeare`.
   */
  readonly evalInterval: number;
  /** Steps between checkpoints. Whole number from 1. Default: 200 in the preset `shakespeare`. */
  readonly checkpointInterval: number;
  /**
   * Stop after this many evaluations without a better loss; 0: never. Whole number from 0. Default: 0 in the preset
   * `shakespeare`.
   */
  readonly patience: number;
  /** Tokens to write at each evaluation; 0: none. Whole number from 0. Default: 200 in the preset `shakespeare`. */
  readonly sampleTokens: number;
  /**
   * Where a loss or gradient is not finite or explodes: stop, skip the step, or go back to the last checkpoint. `stop`,
   * `skip` or `rollback`. Default: `stop` in the preset `shakespeare`.
   */
  readonly onNonfinite: NonfiniteAction;
  /**
   * A loss above this times the larger of ln(vocabulary size) and the mean loss explodes; 0: never. Number from 0.
   * Default: 10 in the preset `shakespeare`.
   */
  readonly maxLossRatio: number;
  /**
   * A gradient norm above this times the mean one explodes, from step 21 on; 0: never. Number from 0. Default: 1000 in
   * the preset `shakespeare`.
   */
  readonly maxGradNormRatio: number;
  /**
   * Keep each block's input alone and compute the block again in the backward pass: much less memory, same bits, about
   * a third more time; unless given, activations are kept.
   */
  readonly recomputeActivations?: boolean | undefined;
  /**
   * Of a text: windows begin at random, or each token comes once before any comes again, in a new order; random unless
   * given or a large model is tuned. `random` or `shuffled`.
   */
  readonly windows?: WindowKind | undefined;
  /**
   * Of documents (.jsonl): a row has as many as fit into the context, or one; packed unless given. `packed` or `one`.
   */
  readonly rows?: RowKind | undefined;
  /**
   * Documents that are longer than the context are cut into pieces that fit, or refused; cut unless given. `cut` or
   * `refuse`.
   */
  readonly longDocuments?: LongDocumentAction | undefined;
  /** How often and where the run was given more steps. */
  readonly extensions?: Extension[] | undefined;
}

/** Above any known model's tokens per update: a mistyped batch would make a step that never ends. */
const mostTokensPerStep = 2 ** 24;

/** The first extension that cannot be: before an earlier one, or not before the end of its own plan. -1: none. */
const findBadExtension = ({ steps, extensions = [] }: TrainConfig): number =>
  extensions.findIndex(
    ({ after }, i) => after < (extensions[i - 1]?.after ?? 0) || after >= (extensions[i + 1]?.planned ?? steps),
  );

/** Everything but the text that a run's result depends on. */
export const runConfigSchema = z
  .strictObject({
    tokenizer: tokenizerConfigSchema,
    model: modelConfigSchema,
    // Absent in a run that trains all weights.
    lora: loraConfigSchema.optional(),
    train: trainConfigSchema,
  })
  .check(({ value: { train }, issues }) => {
    const bad = findBadExtension(train);
    if (bad === -1) return;
    issues.push({
      code: "custom",
      input: train.extensions,
      path: ["train", "extensions"],
      message: `each must be after the one before, and before the steps that it leads to; number ${bad + 1} is not`,
    });
  })
  .check(({ value: { model, train }, issues }) => {
    const tokensPerRow = model.contextLength * train.gradAccumSteps;
    const tokens = tokensPerRow * train.batchSize;
    if (tokens <= mostTokensPerStep) return;
    const fitting = Math.floor(mostTokensPerStep / tokensPerRow);
    issues.push({
      code: "custom",
      input: train.batchSize,
      path: ["train", "batchSize"],
      message: `must make a step of at most ${mostTokensPerStep} tokens, with model.contextLength and train.gradAccumSteps; got ${tokens}; try ${Math.max(1, fitting)}${fitting < 1 ? " and a smaller train.gradAccumSteps" : ""}`,
    });
  });
/** A run's tokenizer, model and training: everything but the text that its result depends on. */
export interface RunConfig {
  /** What a token is. Default: one character of the text. */
  readonly tokenizer: TokenizerConfig;
  /** The model's shape. Default: the preset's. */
  readonly model: ModelConfig;
  /** Low-rank adapters (LoRA) that are trained in place of the weights of another model. Absent: all weights are trained. */
  readonly lora?: LoraConfig | undefined;
  /** Steps, batch, optimizer, schedule and evaluation. Default: the preset's. */
  readonly train: TrainConfig;
}
/** The part that a step's arithmetic depends on: to a trainer, tokens are numbers. */
export type TrainerConfig = Pick<RunConfig, "model" | "lora" | "train">;
