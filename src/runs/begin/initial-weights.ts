import type { CollectedPretrained } from "../../pretrained/files/weights.ts";

/** Weights to begin with, and their place, as errors name it. */
export interface InitialWeights
  extends Pick<
    CollectedPretrained,
    "where" | "config" | "tokenizer" | "chatTemplate" | "endTokens" | "fused" | "values"
  > {}
