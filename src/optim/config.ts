import { z } from "zod";
import { float32FromZero, largestFloat32, positiveFloat32 } from "../core/float32.ts";

const beta = z.number().min(0).lt(1);
const moments = (weightDecay: number) => ({
  beta1: beta.default(0.9).describe("decay of the mean gradient"),
  beta2: beta.default(0.999).describe("decay of the mean squared gradient"),
  eps: positiveFloat32().default(1e-8).describe("added to the root of the second moment"),
  weightDecay: float32FromZero().default(weightDecay).describe("of matrices (biases and norms have none)"),
});

/**
 * Defaults of Adam are PyTorch's. `adam`: Kingma & Ba 2014, weight decay as an L2 gradient. `adamw`: Loshchilov & Hutter
 * 2017, decoupled. `muon`: Jordan et al. 2024 for the matrices inside blocks, AdamW for the other parameters.
 */
export const optimizerConfigSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("adam"), ...moments(0) }),
  z.strictObject({ kind: z.literal("adamw"), ...moments(0.01) }),
  z.strictObject({
    kind: z.literal("muon"),
    momentum: beta.default(0.95).describe("decay of the mean gradient of matrices"),
    adamLearningRateRatio: z
      .number()
      .positive()
      .max(largestFloat32)
      .default(0.15)
      .describe("learning rate of embeddings, head and vectors, which AdamW updates, as a share of learningRate"),
    ...moments(0.1),
    beta2: beta.default(0.95).describe("decay of the mean squared gradient"),
    weightDecay: float32FromZero().default(0.1).describe("of the matrices inside blocks (nothing else has any)"),
  }),
]);
/** An update rule with its constants. */
export type OptimizerConfig = z.infer<typeof optimizerConfigSchema>;
export type AdamConfig = Exclude<OptimizerConfig, { readonly kind: "muon" }>;
export type MuonConfig = Extract<OptimizerConfig, { readonly kind: "muon" }>;

/** The learning rate after the warm-up, as a function of the step. */
export const scheduleConfigSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("constant") }),
  z.strictObject({
    kind: z.literal("cosine"),
    minLearningRate: float32FromZero().default(0).describe("learning rate at the last step"),
  }),
  z.strictObject({
    kind: z.literal("linear"),
    minLearningRate: float32FromZero().default(0).describe("learning rate at the last step"),
  }),
]);
/** The learning rate after the warm-up. */
export type ScheduleConfig = z.infer<typeof scheduleConfigSchema>;
