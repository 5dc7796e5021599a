import { DataError } from "../core/errors/errors.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * Stands for the tokenizer of a model that came without one. The model still computes `logits` of ids.
 * @param where the model's file or folder, for errors.
 * @param vocabSize number of the model's tokens.
 * @param reason in the error, where its tokenizer is of a kind that is not read.
 */
export const noTokenizer = (where: string, vocabSize: number, reason?: string): Tokenizer => {
  const refuse = (): never => {
    throw new DataError({
      where,
      must: "text needs a tokenizer",
      got: reason ?? "a model that came without one",
      hint: `logits(ids), which takes ids${reason === undefined ? "; or a tokenizer.json beside the model" : ""}`,
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
