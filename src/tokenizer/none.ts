import { DataError } from "../core/errors/errors.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * Replaces the tokenizer of a model that has no tokenizer, or has a tokenizer that is not supported. Every method for
 * text throws. The model can still compute `logits` of ids.
 * @param where the model's file or folder, for errors.
 * @param vocabSize number of the model's tokens.
 * @param reason text for the error that describes the unsupported tokenizer. Default: the model has no tokenizer.
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
