import { z } from "zod";

const beta = z.number().min(0).lt(1);
const moments = {
  beta1: beta.describe("decay of the mean gradient"),
  beta2: beta.describe("decay of the mean squared gradient"),
  eps: z.number().positive().describe("added to the root of the second moment"),
  weightDecay: z.number().min(0).describe("weight decay of matrices (biases and norms have none)"),
};

/** `adam`: Kingma & Ba 2014, weight decay as an L2 gradient. `adamw`: Loshchilov & Hutter 2017, decoupled. */
export const optimizerConfigSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("adam"), ...moments }),
  z.strictObject({ kind: z.literal("adamw"), ...moments }),
]);
export type OptimizerConfig = z.infer<typeof optimizerConfigSchema>;

/** What happens to the learning rate after the warm-up. */
export const scheduleConfigSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("constant") }),
  z.strictObject({
    kind: z.literal("cosine"),
    minLearningRate: z.number().min(0).describe("learning rate at the last step"),
  }),
]);
export type ScheduleConfig = z.infer<typeof scheduleConfigSchema>;
