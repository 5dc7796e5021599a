import { z } from "zod";
import { float32FromZero, largestFloat32, positiveFloat32 } from "../core/tensors/float32.ts";

const beta = z.number().min(0).lt(1);
const moments = (weightDecay: number) => ({
  beta1: beta.default(0.9).describe("decay rate of the mean gradient"),
  beta2: beta.default(0.999).describe("decay rate of the mean squared gradient"),
  eps: positiveFloat32().default(1e-8).describe("added to the root of the second moment"),
  weightDecay: float32FromZero()
    .default(weightDecay)
    .describe("weight decay of matrices; biases and norms have no weight decay"),
});

/**
 * Adam's defaults are the defaults of PyTorch. `adam` is Kingma & Ba 2014: weight decay is an L2 term of the gradient.
 * `adamw` is Loshchilov & Hutter 2017: weight decay is separate from the gradient. `muon` is Jordan et al. 2024 for the
 * matrices inside blocks, and AdamW for all other parameters.
 */
export const optimizerConfigSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("adam"), ...moments(0) }),
  z.strictObject({ kind: z.literal("adamw"), ...moments(0.01) }),
  z.strictObject({
    kind: z.literal("muon"),
    momentum: beta.default(0.95).describe("decay rate of the mean gradient of matrices"),
    adamLearningRateRatio: z
      .number()
      .positive()
      .max(largestFloat32)
      .default(0.15)
      .describe(
        "learning rate of the parameters that AdamW updates (embeddings, head and vectors), as a fraction of learningRate",
      ),
    ...moments(0.1),
    beta2: beta.default(0.95).describe("decay rate of the mean squared gradient"),
    weightDecay: float32FromZero()
      .default(0.1)
      .describe("weight decay of the matrices inside blocks; other parameters have no weight decay"),
  }),
]);
/** Adam (Kingma & Ba 2014): weight decay is added to the gradient. */
export interface AdamConfig {
  /** Update rule. `adam`, `adamw` or `muon`. */
  readonly kind: "adam";
  /** Decay rate of the mean gradient. Number from 0, below 1. Default 0.9. */
  readonly beta1: number;
  /** Decay rate of the mean squared gradient. Number from 0, below 1. Default 0.999. */
  readonly beta2: number;
  /** Added to the root of the second moment. Number above 0. Default 1e-8. */
  readonly eps: number;
  /** Weight decay of matrices; biases and norms have no weight decay. Number from 0. Default 0. */
  readonly weightDecay: number;
}
/** AdamW (Loshchilov & Hutter 2017): weight decay is separate from the gradient. */
export interface AdamWConfig {
  /** Update rule. `adam`, `adamw` or `muon`. */
  readonly kind: "adamw";
  /** Decay rate of the mean gradient. Number from 0, below 1. Default 0.9. */
  readonly beta1: number;
  /** Decay rate of the mean squared gradient. Number from 0, below 1. Default 0.999. */
  readonly beta2: number;
  /** Added to the root of the second moment. Number above 0. Default 1e-8. */
  readonly eps: number;
  /** Weight decay of matrices; biases and norms have no weight decay. Number from 0. Default 0.01. */
  readonly weightDecay: number;
}
/** Muon (Jordan et al. 2024) for the matrices inside blocks, AdamW for the other parameters. */
export interface MuonConfig {
  /** Update rule. `adam`, `adamw` or `muon`. */
  readonly kind: "muon";
  /** Decay rate of the mean gradient of matrices. Number from 0, below 1. Default 0.95. */
  readonly momentum: number;
  /**
   * Learning rate of the parameters that AdamW updates (embeddings, head and vectors), as a fraction of learningRate.
   * Number above 0. Default 0.15; 0.25 in the preset `shakespeare`.
   */
  readonly adamLearningRateRatio: number;
  /** Decay rate of the mean gradient. Number from 0, below 1. Default 0.9. */
  readonly beta1: number;
  /** Decay rate of the mean squared gradient. Number from 0, below 1. Default 0.95. */
  readonly beta2: number;
  /** Added to the root of the second moment. Number above 0. Default 1e-8; 1e-10 in the preset `shakespeare`. */
  readonly eps: number;
  /** Weight decay of the matrices inside blocks; other parameters have no weight decay. Number from 0. Default 0.1. */
  readonly weightDecay: number;
}
/** An update rule with its constants. */
export type OptimizerConfig = AdamConfig | AdamWConfig | MuonConfig;

/** The schedule: the learning rate after the warm-up, as a function of the step. */
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
/** The learning rate stays `learningRate`. */
export interface ConstantSchedule {
  /** Learning rate after the warm-up. `constant`, `cosine` or `linear`. */
  readonly kind: "constant";
}
/** The learning rate falls along half a cosine. */
export interface CosineSchedule {
  /** Learning rate after the warm-up. `constant`, `cosine` or `linear`. */
  readonly kind: "cosine";
  /** Learning rate at the last step. Number from 0. Default 0. */
  readonly minLearningRate: number;
}
/** The learning rate falls in a straight line. */
export interface LinearSchedule {
  /** Learning rate after the warm-up. `constant`, `cosine` or `linear`. */
  readonly kind: "linear";
  /** Learning rate at the last step. Number from 0. Default 0. */
  readonly minLearningRate: number;
}
/** The learning rate after the warm-up. */
export type ScheduleConfig = ConstantSchedule | CosineSchedule | LinearSchedule;

/** Schedules of the learning rate after a run has been extended. */
export const extendKinds = ["stretch", "restart", "constant"] as const;
/** Learning rate of the steps that a run is extended by. `stretch`, `restart` or `constant`. */
export type ExtendKind = (typeof extendKinds)[number];

/** Maximum number of extensions. The run's configuration contains all extensions of the run. */
export const mostExtensions = 100;

/**
 * An extension of a run: after `after` steps, the total number of steps was changed. The earlier total was `planned`.
 */
export const extensionSchema = z.strictObject({
  after: z.int().min(0).describe("number of updates done when the run was extended"),
  planned: z.int().positive().describe("number of updates planned before the extension"),
  schedule: z.enum(extendKinds).describe("learning rate after the extension"),
});
/**
 * An extension of a run. The new total number of steps is in `planned` of the next extension. For the last extension it
 * is in `steps` of the plan.
 */
export interface Extension {
  /** Number of updates done when the run was extended. Whole number from 0. */
  readonly after: number;
  /** Number of updates planned before the extension. Whole number from 1. */
  readonly planned: number;
  /** Learning rate after the extension. `stretch`, `restart` or `constant`. */
  readonly schedule: ExtendKind;
}
