import { z } from "zod";
import { dtypeChoices } from "../../core/dtype.ts";
import { float32FromZero, largestFloat32 } from "../../core/float32.ts";
import { modelConfigSchema } from "../../models/config.ts";
import { optimizerConfigSchema, scheduleConfigSchema } from "../../optim/config.ts";
import { tokenizerConfigSchema } from "../../tokenizer/config.ts";

const positiveInteger = z.int().positive();
const countOrNone = z.int().min(0);
const ratio = z.number().min(0);

export const nonfiniteActions = ["stop", "skip", "rollback"] as const;

/** How a model is trained. Every field changes the result; settings that do not (threads, backend) are elsewhere. */
export const trainConfigSchema = z.strictObject({
  steps: positiveInteger.describe("optimizer updates"),
  batchSize: positiveInteger.describe("windows in one forward pass (B)"),
  gradAccumSteps: positiveInteger.describe("forward and backward passes per update; a step sees batchSize times this"),
  learningRate: z.number().positive().max(largestFloat32).describe("highest learning rate"),
  warmupSteps: countOrNone.describe("steps of linear warm-up"),
  schedule: scheduleConfigSchema.describe("learning rate after the warm-up"),
  optimizer: optimizerConfigSchema.describe("update rule"),
  maxGradNorm: float32FromZero().describe("clip the global gradient norm to this; 0: never"),
  // Runs of versions without this field computed in float32.
  dtype: z
    .enum(dtypeChoices)
    .default("float32")
    .describe("what products are computed from: bfloat16 is faster where the CPU multiplies it, which auto looks for"),
  seed: z.int().min(0).describe("decides initial weights, batches, dropout and samples"),
  evalInterval: positiveInteger.describe("steps between evaluations of the whole validation split"),
  checkpointInterval: positiveInteger.describe("steps between checkpoints"),
  patience: countOrNone.describe("stop after this many evaluations without a better loss; 0: never"),
  sampleTokens: countOrNone.describe("tokens to write at each evaluation; 0: none"),
  // Defaults are for runs of versions without these fields.
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
});
/** How a model is trained: steps, batch, optimizer, schedule, evaluation. */
export type TrainConfig = z.infer<typeof trainConfigSchema>;

/** Above any known model's tokens per update: a mistyped batch would make a step that never ends. */
const mostTokensPerStep = 2 ** 24;

/** Everything but the text that a run's result depends on. */
export const runConfigSchema = z
  .strictObject({ tokenizer: tokenizerConfigSchema, model: modelConfigSchema, train: trainConfigSchema })
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
/** A run's tokenizer, model and training. */
export type RunConfig = z.infer<typeof runConfigSchema>;
/** The part that a step's arithmetic depends on: to a trainer, tokens are numbers. */
export type TrainerConfig = Pick<RunConfig, "model" | "train">;
