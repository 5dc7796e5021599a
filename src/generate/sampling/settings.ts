import { z } from "zod";

/** The schema of `Sampling`. */
export const samplingSchema = z.strictObject({
  temperature: z.number().min(0).describe("divides the logits; 0 takes the most probable token (greedy)"),
  topK: z.int().min(0).describe("keep only the k most probable tokens; 0 keeps all tokens"),
  topP: z
    .number()
    .gt(0)
    .max(1)
    .describe("keep the most probable tokens until their probabilities add up to this value; 1 keeps all tokens"),
  minP: z
    .number()
    .min(0)
    .max(1)
    .describe("drop tokens with a probability below this fraction of the highest probability; 0 drops no tokens"),
  typicalP: z
    .number()
    .gt(0)
    .max(1)
    .describe(
      "keep the tokens with a −ln p near the entropy, the nearest first, until their probabilities add up to this value; 1 keeps all tokens",
    ),
  repetitionPenalty: z
    .number()
    .gt(0)
    .describe(
      "for tokens in the prompt or the text: divide positive logits by this number, and multiply negative logits by this number; 1 changes nothing",
    ),
  presencePenalty: z
    .number()
    .describe("subtract this number once from the logit of each written token; 0 changes nothing"),
  frequencyPenalty: z
    .number()
    .describe("subtract this number from a token's logit for each time that the token was written; 0 changes nothing"),
});
// `node scripts/docs/config-docs.mjs` writes the docstrings of the fields from the schema, for editors.
/** How a token is chosen from the logits. */
export interface Sampling {
  /** Divides the logits; 0 takes the most probable token (greedy). Number from 0. Default 0.8. */
  readonly temperature: number;
  /** Keep only the k most probable tokens; 0 keeps all tokens. Whole number from 0. Default 40. */
  readonly topK: number;
  /**
   * Keep the most probable tokens until their probabilities add up to this value; 1 keeps all tokens. Number above 0,
   * at most 1. Default 1.
   */
  readonly topP: number;
  /**
   * Drop tokens with a probability below this fraction of the highest probability; 0 drops no tokens. Number from 0 to
   * 1. Default 0.
   */
  readonly minP: number;
  /**
   * Keep the tokens with a −ln p near the entropy, the nearest first, until their probabilities add up to this value; 1
   * keeps all tokens. Number above 0, at most 1. Default 1.
   */
  readonly typicalP: number;
  /**
   * For tokens in the prompt or the text: divide positive logits by this number, and multiply negative logits by this
   * number; 1 changes nothing. Number above 0. Default 1.
   */
  readonly repetitionPenalty: number;
  /** Subtract this number once from the logit of each written token; 0 changes nothing. Number. Default 0. */
  readonly presencePenalty: number;
  /**
   * Subtract this number from a token's logit for each time that the token was written; 0 changes nothing. Number.
   * Default 0.
   */
  readonly frequencyPenalty: number;
}

/** Names of the filters, in their default order. */
export const filterNames = ["temperature", "topK", "topP", "minP", "typicalP"] as const;
/** Name of a filter. */
export type FilterName = (typeof filterNames)[number];

/** The settings of the filters. Unlike penalties, filters do not depend on earlier tokens. */
export type Filtering = Pick<Sampling, "temperature" | "topK" | "topP" | "minP"> & Partial<Pick<Sampling, "typicalP">>;

/** Settings that keep the model's own probabilities. */
export const plainSampling: Sampling = {
  ...{ temperature: 1, topK: 0, topP: 1, minP: 0, typicalP: 1 },
  ...{ repetitionPenalty: 1, presencePenalty: 0, frequencyPenalty: 0 },
};
