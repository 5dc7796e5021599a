import { z } from "zod";

const beta = z.number().min(0).lt(1);
const moments = (weightDecay: number) => ({
  beta1: beta.default(0.9).describe("decay of the mean gradient"),
  beta2: beta.default(0.999).describe("decay of the mean squared gradient"),
  eps: z.number().positive().default(1e-8).describe("added to the root of the second moment"),
  weightDecay: z.number().min(0).default(weightDecay).describe("of matrices (biases and norms have none)"),
});

/** Defaults are PyTorch's. `adam`: Kingma & Ba 2014, weight decay as an L2 gradient. `adamw`: Loshchilov & Hutter 2017, decoupled. */
export const optimizerConfigSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("adam"), ...moments(0) }),
  z.strictObject({ kind: z.literal("adamw"), ...moments(0.01) }),
]);
export type OptimizerConfig = z.infer<typeof optimizerConfigSchema>;

/** What happens to the learning rate after the warm-up. */
export const scheduleConfigSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("constant") }),
  z.strictObject({
    kind: z.literal("cosine"),
    minLearningRate: z.number().min(0).default(0).describe("learning rate at the last step"),
  }),
]);
export type ScheduleConfig = z.infer<typeof scheduleConfigSchema>;
