/**
 * Initial weights of a new run. These weights take the same memory as the weights in the backend, so they are released
 * after their use.
 */
import type { BlockRows } from "../../models/block-arena.ts";
import { type Model, modelLayout } from "../../models/model.ts";
import { type CollectedPretrained, collectWeights, readInto } from "../../pretrained/files/weights.ts";
import type { Pretrained, WeightSource } from "../../pretrained/pretrained.ts";
import type { BaseWeights } from "../store.ts";

/** Initial weights, with the name of their place for errors. */
export interface InitialWeights
  extends Pick<CollectedPretrained, "where" | "config" | "tokenizer" | "chatTemplate" | "endTokens" | "fused"> {
  /** Weights that may stay in a file's blocks, but only as the base model of adapters. */
  readonly weights: BaseWeights;
  /** Closes the file if the weights were not read. */
  close(): Promise<void>;
}

/** Makes a function that returns `value` once and then releases it. */
export const once = <T>(value: T): (() => T) => {
  let kept: T | undefined = value;
  return () => {
    if (kept === undefined) throw new Error("the weights can be taken only once");
    const given = kept;
    kept = undefined;
    return given;
  };
};

/** Reads all weights to find damage before a run writes anything. The file stays open, except after an error. */
export const checkAll = async ({
  config,
  tokenizer,
  weights,
}: Pick<Pretrained, "config" | "tokenizer" | "weights">): Promise<void> => {
  const blocks = { isBlocks: () => true, writeBlocks: () => {} };
  const target = { place: () => {}, placeWords: () => {}, blocks };
  await weights.read(modelLayout(config, tokenizer.vocabSize), target).catch(async (error: unknown) => {
    await weights.close();
    throw error;
  });
};

/** Weights in blocks that can be read once. Afterwards, no variable refers to their file, which may be in memory. */
const readLater = (weights: WeightSource, rows: readonly BlockRows[]): Pick<InitialWeights, "weights" | "close"> => {
  let left: WeightSource | undefined = weights;
  const close = async (): Promise<void> => {
    const closing = left;
    left = undefined;
    await closing?.close();
  };
  const read = async (base: Model): Promise<void> => {
    if (left === undefined) throw new Error("the weights can be taken only once");
    await readInto(base, left);
    await close();
  };
  return { weights: { kind: "blocks", rows, readInto: read }, close };
};

/**
 * Initial weights of a run from an opened model. Plain weights are read at once. Weights in blocks are read later, when
 * memory is allocated for them.
 * @param keepBlocks whether matrices in blocks of 4 to 8 bits stay in blocks.
 * @throws CheckpointError for damaged weights; the model is closed then.
 */
export const initialWeightsOf = async (
  opened: Omit<Pretrained, "sha256">,
  keepBlocks: boolean,
): Promise<InitialWeights> => {
  const { where, config, tokenizer, chatTemplate, endTokens, weights } = opened;
  const facts = { where, config, tokenizer, chatTemplate, endTokens, fused: weights.fused };
  const rows = keepBlocks ? (weights.blockRows?.(modelLayout(config, tokenizer.vocabSize)) ?? []) : [];
  if (rows.length === 0) {
    const { values } = await collectWeights(opened);
    return { ...facts, weights: { kind: "values", take: once(values) }, close: async () => {} };
  }
  await checkAll(opened);
  return { ...facts, ...readLater(weights, rows) };
};
