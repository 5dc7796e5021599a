/** Weights that a new run begins with. They are as large as those in the backend, so nobody keeps them beside it. */
import type { BlockRows } from "../../models/block-arena.ts";
import { type Model, modelLayout } from "../../models/model.ts";
import { type CollectedPretrained, collectWeights, readInto } from "../../pretrained/files/weights.ts";
import type { Pretrained, WeightSource } from "../../pretrained/pretrained.ts";
import type { BaseWeights } from "../store.ts";

/** Weights to begin with, and their place, as errors name it. */
export interface InitialWeights
  extends Pick<CollectedPretrained, "where" | "config" | "tokenizer" | "chatTemplate" | "endTokens" | "fused"> {
  /** Those in a file's blocks are for a model that adapters are put on. */
  readonly weights: BaseWeights;
  /** Closes a file that is still open, since nobody has read the weights. */
  close(): Promise<void>;
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

/** Reads all weights for their faults: a run tells of them before it writes anything. The file stays open, but after a fault. */
const checkAll = async ({ config, tokenizer, weights }: Omit<Pretrained, "sha256">): Promise<void> => {
  const blocks = { isBlocks: () => true, writeBlocks: () => {} };
  const target = { place: () => {}, placeWords: () => {}, blocks };
  await weights.read(modelLayout(config, tokenizer.vocabSize), target).catch(async (error: unknown) => {
    await weights.close();
    throw error;
  });
};

/** Weights in blocks, to be read once; nobody holds their file afterwards, which may be in memory. */
const readLater = (weights: WeightSource, rows: readonly BlockRows[]): Pick<InitialWeights, "weights" | "close"> => {
  let left: WeightSource | undefined = weights;
  const close = async (): Promise<void> => {
    const closing = left;
    left = undefined;
    await closing?.close();
  };
  const read = async (base: Model): Promise<void> => {
    if (left === undefined) throw new Error("the weights are given once");
    await readInto(base, left);
    await close();
  };
  return { weights: { kind: "blocks", rows, readInto: read }, close };
};

/**
 * The weights of an open model, for a run to begin with: read now, or when there is memory for them.
 * @param keepBlocks whether matrices in blocks of 4 to 8 bits stay so.
 * @throws CheckpointError for weights that are damaged; they are closed then.
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
