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
import { type AverageConfig, averageConfigSchema } from "./average.ts";
import { type TeacherConfig, teacherConfigSchema } from "./teacher.ts";

const positiveInteger = z.int().positive();
const countOrNone = z.int().min(0);
const ratio = z.number().min(0);

export const nonfiniteActions = ["stop", "skip", "rollback"] as const;
/** What to do after a step whose loss or gradient explodes or is not finite. */
export type NonfiniteAction = (typeof nonfiniteActions)[number];

export const longDocumentActions = ["cut", "refuse"] as const;
/** What to do with a document longer than the context. */
export type LongDocumentAction = (typeof longDocumentActions)[number];

/** How windows are drawn by default. */
export const defaultWindows: WindowKind = "random";
/** How documents are placed in rows by default. */
export const defaultRows: RowKind = "packed";
export const defaultLongDocuments: LongDocumentAction = "cut";

/**
 * How a model is trained. Every field except `recomputeActivations` changes the result. Settings that do not change the
 * result (threads, backend) are elsewhere.
 */
export const trainConfigSchema = z.strictObject({
  steps: positiveInteger.describe("optimizer updates"),
  batchSize: positiveInteger.describe("number of windows in one forward pass (B)"),
  gradAccumSteps: positiveInteger.describe(
    "forward and backward passes per update; a step trains on batchSize times this many windows",
  ),
  learningRate: z.number().positive().max(largestFloat32).describe("maximum learning rate"),
  warmupSteps: countOrNone.describe("steps of linear warm-up"),
  schedule: scheduleConfigSchema.describe("learning rate after the warm-up"),
  optimizer: optimizerConfigSchema.describe("update rule"),
  maxGradNorm: float32FromZero().describe(
    "maximum of the global gradient norm, to which gradients are clipped; 0: no clipping",
  ),
  dtype: z
    .enum(dtypeChoices)
    .default("float32")
    .describe("number format of matrix products; bfloat16 is faster if the CPU supports it; auto takes the faster one"),
  seed: z.int().min(0).describe("random seed of initial weights, batches, dropout and samples"),
  evalInterval: positiveInteger.describe("number of steps between evaluations of the whole validation split"),
  checkpointInterval: positiveInteger.describe("number of steps between checkpoints"),
  patience: countOrNone.describe("stop after this many evaluations without a better loss; 0: never"),
  sampleTokens: countOrNone.describe("number of tokens to generate at each evaluation; 0: none"),
  onNonfinite: z
    .enum(nonfiniteActions)
    .default("stop")
    .describe(
      "what to do if a loss or gradient explodes or is not finite: stop, skip the step, or roll back to the last checkpoint",
    ),
  maxLossRatio: ratio
    .default(10)
    .describe(
      "a loss counts as exploding if it exceeds this factor times ln(vocabulary size) and also this factor times the mean loss; 0: never",
    ),
  maxGradNormRatio: ratio
    .default(1000)
    .describe(
      "a gradient norm counts as exploding, from step 21, if it exceeds this factor times the mean norm; 0: never",
    ),
  // This field is optional, so that a configuration without it keeps its hash.
  recomputeActivations: z
    .boolean()
    .optional()
    .describe(
      "recompute each block in the backward pass instead of keeping its activations; needs much less memory and about a third more time, with the same bits; default: false",
    ),
  // This field is optional, so that a configuration without it keeps its hash.
  windows: z
    .enum(windowKinds)
    .optional()
    .describe(
      "how windows of a text are drawn: at random, or shuffled so that each pass reads every token once; default: random, but shuffled when fine-tuning a model above 20 M parameters",
    ),
  // This field is optional, so that a configuration without it keeps its hash.
  average: averageConfigSchema
    .optional()
    .describe(
      "average of the weights, which is evaluated beside the weights and saved in averaged/: exponential moving average over the steps (ema), or mean over the last evaluations (last-k); default: none",
    ),
  // Only runs that train on documents have `rows` and `longDocuments`.
  rows: z
    .enum(rowKinds)
    .optional()
    .describe(
      "how documents (.jsonl) are placed in rows: packed puts as many documents into a row as fit into the context; one puts one document into a row; default: packed",
    ),
  longDocuments: z
    .enum(longDocumentActions)
    .optional()
    .describe(
      "what to do with documents longer than the context: cut them into pieces that fit, or refuse them; default: cut",
    ),
  // Only runs that learn from teachers have this field.
  teacher: teacherConfigSchema.optional(),
  // Only extended runs have this field; the extension writes it.
  extensions: z
    .array(extensionSchema)
    .max(mostExtensions)
    .optional()
    .describe("extensions of the run to another number of steps"),
});
// `node scripts/docs/config-docs.mjs` writes the docstrings of these fields from the schema, for editors.
/** How a model is trained: steps, batch, optimizer, schedule, evaluation. */
export interface TrainConfig {
  /** Optimizer updates. Whole number from 1. Default: 1000 in the preset `shakespeare`. */
  readonly steps: number;
  /** Number of windows in one forward pass (B). Whole number from 1. Default: 8 in the preset `shakespeare`. */
  readonly batchSize: number;
  /**
   * Forward and backward passes per update; a step trains on batchSize times this many windows. Whole number from 1.
   * Default: 1 in the preset `shakespeare`.
   */
  readonly gradAccumSteps: number;
  /** Maximum learning rate. Number above 0. Default: 0.012 in the preset `shakespeare`. */
  readonly learningRate: number;
  /** Steps of linear warm-up. Whole number from 0. Default: 10 in the preset `shakespeare`. */
  readonly warmupSteps: number;
  /** Learning rate after the warm-up. Default: `linear` in the preset `shakespeare`. */
  readonly schedule: ScheduleConfig;
  /** Update rule. Default: `muon` in the preset `shakespeare`. */
  readonly optimizer: OptimizerConfig;
  /**
   * Maximum of the global gradient norm, to which gradients are clipped; 0: no clipping. Number from 0. Default: 1 in
   * the preset `shakespeare`.
   */
  readonly maxGradNorm: number;
  /**
   * Number format of matrix products; bfloat16 is faster if the CPU supports it; auto takes the faster one. `auto`,
   * `float32` or `bfloat16`. Default: `auto` in the preset `shakespeare`.
   */
  readonly dtype: DTypeChoice;
  /**
   * Random seed of initial weights, batches, dropout and samples. Whole number from 0. Default: 1 in the preset
   * `shakespeare`.
   */
  readonly seed: number;
  /**
   * Number of steps between evaluations of the whole validation split. Whole number from 1. Default: 200 in the preset
   * `shakespeare`.
   */
  readonly evalInterval: number;
  /** Number of steps between checkpoints. Whole number from 1. Default: 200 in the preset `shakespeare`. */
  readonly checkpointInterval: number;
  /**
   * Stop after this many evaluations without a better loss; 0: never. Whole number from 0. Default: 0 in the preset
   * `shakespeare`.
   */
  readonly patience: number;
  /**
   * Number of tokens to generate at each evaluation; 0: none. Whole number from 0. Default: 200 in the preset
   * `shakespeare`.
   */
  readonly sampleTokens: number;
  /**
   * What to do if a loss or gradient explodes or is not finite: stop, skip the step, or roll back to the last
   * checkpoint. `stop`, `skip` or `rollback`. Default: `stop` in the preset `shakespeare`.
   */
  readonly onNonfinite: NonfiniteAction;
  /**
   * A loss counts as exploding if it exceeds this factor times ln(vocabulary size) and also this factor times the mean
   * loss; 0: never. Number from 0. Default: 10 in the preset `shakespeare`.
   */
  readonly maxLossRatio: number;
  /**
   * A gradient norm counts as exploding, from step 21, if it exceeds this factor times the mean norm; 0: never. Number
   * from 0. Default: 1000 in the preset `shakespeare`.
   */
  readonly maxGradNormRatio: number;
  /**
   * Recompute each block in the backward pass instead of keeping its activations; needs much less memory and about a
   * third more time, with the same bits; default: false.
   */
  readonly recomputeActivations?: boolean | undefined;
  /**
   * How windows of a text are drawn: at random, or shuffled so that each pass reads every token once; default: random,
   * but shuffled when fine-tuning a model above 20 M parameters. `random` or `shuffled`.
   */
  readonly windows?: WindowKind | undefined;
  /**
   * Average of the weights, which is evaluated beside the weights and saved in averaged/: exponential moving average
   * over the steps (ema), or mean over the last evaluations (last-k); default: none.
   */
  readonly average?: AverageConfig | undefined;
  /**
   * How documents (.jsonl) are placed in rows: packed puts as many documents into a row as fit into the context; one
   * puts one document into a row; default: packed. `packed` or `one`.
   */
  readonly rows?: RowKind | undefined;
  /**
   * What to do with documents longer than the context: cut them into pieces that fit, or refuse them; default: cut.
   * `cut` or `refuse`.
   */
  readonly longDocuments?: LongDocumentAction | undefined;
  /** Its part. */
  readonly teacher?: TeacherConfig | undefined;
  /** Extensions of the run to another number of steps. */
  readonly extensions?: Extension[] | undefined;
}

/**
 * Maximum number of tokens per update, more than any known model uses. It catches a mistyped batch size, with which a
 * step would never end.
 */
const mostTokensPerStep = 2 ** 24;

/**
 * Index of the first invalid extension. An extension is invalid if it comes before an earlier extension, or not before
 * the end of the plan that it changes. The result is -1 if all extensions are valid.
 */
const findBadExtension = ({ steps, extensions = [] }: TrainConfig): number =>
  extensions.findIndex(
    ({ after }, i) => after < (extensions[i - 1]?.after ?? 0) || after >= (extensions[i + 1]?.planned ?? steps),
  );

/** Everything that a run's result depends on, except the text. */
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
      message: `each extension must come after the previous extension and before the end of the plan that it changes; extension ${bad + 1} does not`,
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
/** A run's tokenizer, model and training: everything that its result depends on, except the text. */
export interface RunConfig {
  /** Kind of tokens. Default: one character of the text. */
  readonly tokenizer: TokenizerConfig;
  /** Shape of the model. Default: the preset's. */
  readonly model: ModelConfig;
  /** Low-rank adapters (LoRA), trained instead of the weights of another model. Absent: all weights are trained. */
  readonly lora?: LoraConfig | undefined;
  /** Steps, batch, optimizer, schedule and evaluation. Default: the preset's. */
  readonly train: TrainConfig;
}
/** The part of the configuration that a trainer needs. It sees tokens only as numbers. */
export type TrainerConfig = Pick<RunConfig, "model" | "lora" | "train">;
