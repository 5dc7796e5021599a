import { DataError } from "../core/errors/errors.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * Stands for the tokenizer of a model if the model has none, or if it is not supported. Every method for text throws;
 * the model can still compute `logits` of ids.
 * @param where the model's file or folder, for errors.
 * @param vocabSize number of the model's tokens.
 * @param reason describes the unsupported tokenizer, for the error. Default: the model has no tokenizer.
 */
export const noTokenizer = (where: string, vocabSize: number, reason?: string): Tokenizer => {
  const refuse = (): never => {
    throw new DataError({
      where,
      must: "text needs a tokenizer",
      got: reason ?? "a model without a tokenizer",
      hint: `logits(ids), which takes token ids${reason === undefined ? "; or a tokenizer.json next to the model" : ""}`,
    });
  };
  return {
    kind: "none",
    vocabSize,
    specialTokens: [],
    endOfText: null,
    encode: refuse,
    decode: refuse,
    bytes: refuse,
    token: refuse,
    toJSON: refuse,
  };
};
