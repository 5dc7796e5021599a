/** Weights that a new run begins with. They are as large as those in the backend, so nobody keeps them beside it. */
import type { CollectedPretrained } from "../../pretrained/files/weights.ts";

/** Weights to begin with, and their place, as errors name it. */
export interface InitialWeights
  extends Pick<CollectedPretrained, "where" | "config" | "tokenizer" | "chatTemplate" | "endTokens" | "fused"> {
  /** Gives the weights, in the layout of the model, once. */
  take(): Float32Array;
}

/** Gives `value` once, and keeps it no longer. */
export const once = <T>(value: T): (() => T) => {
  let kept: T | undefined = value;
  return () => {
    if (kept === undefined) throw new Error("the weights are given once");
    const given = kept;
    kept = undefined;
    return given;
  };
};

/** Weights that were read, to be given once. */
export const givenOnce = <T extends CollectedPretrained>({
  values,
  ...facts
}: T): Omit<T, "values"> & InitialWeights => ({ ...facts, take: once(values) });
