import { z } from "zod";

/** Maximum number of evaluations whose weights are averaged: a run keeps a copy of the weights for each of them. */
const mostAveraged = 100;

/**
 * Averages of the weights of a run. `ema`: exponential moving average (Polyak & Juditsky 1992), with the warm-up of
 * TensorFlow's ExponentialMovingAverage. `last-k`: mean of the weights at the last evaluations (stochastic weight
 * averaging: Izmailov et al. 2018, arXiv:1803.05407; latest weight averaging: Kaddour 2022, arXiv:2209.14981).
 */
export const averageConfigSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("ema"),
    decay: z
      .number()
      .min(0)
      .lt(1)
      .default(0.999)
      .describe(
        "largest weight of the old average in the new one: after t averaged steps the weight is (1 + t) / (10 + t), but at most this",
      ),
  }),
  z.strictObject({
    kind: z.literal("last-k"),
    count: z
      .int()
      .min(2)
      .max(mostAveraged)
      .default(4)
      .describe(
        "number of evaluations whose weights are averaged; the run keeps a copy of the weights for each of them",
      ),
  }),
]);

// `node scripts/docs/config-docs.mjs` writes the docstrings of these fields from the schema, for editors.
/** Exponential moving average of the weights after each step. */
export interface EmaConfig {
  /**
   * Average of the weights, which is evaluated beside the weights and saved in averaged/: exponential moving average
   * over the steps (ema), or mean over the last evaluations (last-k); default: none. `ema` or `last-k`.
   */
  readonly kind: "ema";
  /**
   * Largest weight of the old average in the new one: after t averaged steps the weight is (1 + t) / (10 + t), but at
   * most this. Number from 0, below 1. Default 0.999.
   */
  readonly decay: number;
}
/** Mean of the weights at the last evaluations (Izmailov et al. 2018; Kaddour 2022). */
export interface LastKConfig {
  /**
   * Average of the weights, which is evaluated beside the weights and saved in averaged/: exponential moving average
   * over the steps (ema), or mean over the last evaluations (last-k); default: none. `ema` or `last-k`.
   */
  readonly kind: "last-k";
  /**
   * Number of evaluations whose weights are averaged; the run keeps a copy of the weights for each of them. Whole
   * number from 2 to 100. Default 4.
   */
  readonly count: number;
}
/** An average of the weights, with its constants. */
export type AverageConfig = EmaConfig | LastKConfig;

/** The average of the weights; empty without one. */
export const averageWords = ({ average }: { readonly average?: AverageConfig | undefined }): readonly string[] => {
  if (average === undefined) return [];
  return average.kind === "ema"
    ? [`averaged weights: ema, decay ${average.decay}`]
    : [`averaged weights: mean of the last ${average.count} evaluations`];
};
