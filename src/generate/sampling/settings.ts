import { z } from "zod";

/** The schema of `Sampling`. */
export const samplingSchema = z.strictObject({
  temperature: z.number().min(0).describe("divides the logits; 0 takes the likeliest token (greedy)"),
  topK: z.int().min(0).describe("keep only the k likeliest tokens; 0: all"),
  topP: z.number().gt(0).max(1).describe("keep the likeliest tokens that together reach this probability; 1: all"),
  minP: z.number().min(0).max(1).describe("drop tokens less likely than this times the likeliest; 0: none"),
  typicalP: z
    .number()
    .gt(0)
    .max(1)
    .describe("keep the tokens whose surprise is nearest to the expected one, up to this probability; 1: all"),
  repetitionPenalty: z
    .number()
    .gt(0)
    .describe(
      "divides positive logits of tokens that were there, in the prompt too, and multiplies negative ones; 1: none",
    ),
  presencePenalty: z.number().describe("taken off the logits of tokens that were written already; 0: none"),
  frequencyPenalty: z
    .number()
    .describe("taken off the logits of tokens once for each time that they were written; 0: none"),
});
// The docstrings of the fields are the schema's, for editors: `node scripts/docs/config-docs.mjs` writes them.
/** How a token is chosen from the logits. */
export interface Sampling {
  /** Divides the logits; 0 takes the likeliest token (greedy). Number from 0. Default 0.8. */
  readonly temperature: number;
  /** Keep only the k likeliest tokens; 0: all. Whole number from 0. Default 40. */
  readonly topK: number;
  /** Keep the likeliest tokens that together reach this probability; 1: all. Number above 0, at most 1. Default 1. */
  readonly topP: number;
  /** Drop tokens less likely than this times the likeliest; 0: none. Number from 0 to 1. Default 0. */
  readonly minP: number;
  /**
   * Keep the tokens whose surprise is nearest to the expected one, up to this probability; 1: all. Number above 0, at
   * most 1. Default 1.
   */
  readonly typicalP: number;
  /**
   * Divides positive logits of tokens that were there, in the prompt too, and multiplies negative ones; 1: none. Number
   * above 0. Default 1.
   */
  readonly repetitionPenalty: number;
  /** Taken off the logits of tokens that were written already; 0: none. Number. Default 0. */
  readonly presencePenalty: number;
  /** Taken off the logits of tokens once for each time that they were written; 0: none. Number. Default 0. */
  readonly frequencyPenalty: number;
}

/** What changes which tokens may be drawn, each by its own rule. */
export const filterNames = ["temperature", "topK", "topP", "minP", "typicalP"] as const;
/** A step of sampling. */
export type FilterName = (typeof filterNames)[number];

/** The part of the settings that decides what is drawn from, whatever came before. */
export type Filtering = Pick<Sampling, "temperature" | "topK" | "topP" | "minP"> & Partial<Pick<Sampling, "typicalP">>;

/** Settings that change nothing: the model's own probabilities. */
export const plainSampling: Sampling = {
  ...{ temperature: 1, topK: 0, topP: 1, minP: 0, typicalP: 1 },
  ...{ repetitionPenalty: 1, presencePenalty: 0, frequencyPenalty: 0 },
};
