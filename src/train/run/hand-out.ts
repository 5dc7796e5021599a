/** Checkpoints for the caller's `onCheckpoint` or `onAdapter`, besides a run's folder or instead of one. */
import type { ReadValues } from "../../models/arena.ts";
import type { AdapterBase } from "../../pretrained/adapter/config.ts";
import type { AdapterFiles } from "../../pretrained/adapter/load.ts";
import { adapterTextFiles } from "../../pretrained/adapter/text.ts";
import { adapterFiles } from "../../pretrained/adapter/write.ts";
import { type CheckpointFiles, checkpointFiles, filesInMemory } from "../../pretrained/checkpoint-files.ts";
import type { KeptFacts } from "../../pretrained/pretrained-files.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { RunConfig } from "../config/config.ts";
import type { RunStore } from "./run-input.ts";

/** The last weights, or those of the lowest validation loss. */
export type WhichWeights = "last" | "best";

/**
 * Gets the model at each checkpoint, at the end at the latest ("last"), and whenever its validation loss is the lowest
 * so far ("best"), in the form for `loadPretrained`. Training waits for the promise.
 */
export type OnCheckpoint = (files: CheckpointFiles, which: WhichWeights) => void | Promise<void>;

/** Gets the adapter of a run that trains one (`config.lora`), when `onCheckpoint` would get the model. */
export type OnAdapter = (files: AdapterFiles, which: WhichWeights) => void | Promise<void>;

/** The callbacks of a run: at most one of them. */
export interface HandOut {
  readonly onCheckpoint?: OnCheckpoint | undefined;
  readonly onAdapter?: OnAdapter | undefined;
}

/** The callback's name: events of a run without a folder have it for a path. */
export const handedTo = ({ onCheckpoint, onAdapter }: HandOut): "onCheckpoint" | "onAdapter" | null => {
  if (onCheckpoint !== undefined) return "onCheckpoint";
  return onAdapter === undefined ? null : "onAdapter";
};

/** A store that keeps nothing. */
const keepNothing = (path: string): RunStore => ({
  path,
  record: async () => {},
  saveCheckpoint: async () => path,
  saveBest: async () => {},
});

/** The run whose checkpoints are handed out. */
export interface HandedOutRun {
  readonly config: RunConfig;
  readonly tokenizer: Tokenizer;
  /** Of the model that the run began with. */
  readonly facts?: KeptFacts | undefined;
  /** The documents that it learns; absent: it learns a text. */
  readonly documents?: unknown;
}

/** Gives the weights that were read to the callback. */
const givingOut = (
  { config: { model, lora }, tokenizer, facts, documents }: HandedOutRun,
  base: AdapterBase,
  { onCheckpoint, onAdapter }: HandOut,
): ((values: ReadValues, which: WhichWeights) => Promise<void>) => {
  if (lora === undefined) {
    return async (values, which) => onCheckpoint?.(await checkpointFiles(model, tokenizer, values, facts), which);
  }
  const text = documents === undefined || facts === undefined ? {} : adapterTextFiles(facts);
  return async (values, which) => {
    const files = { ...adapterFiles(model, lora, values, base), ...text };
    await onAdapter?.((await filesInMemory(files)) as AdapterFiles, which);
  };
};

/**
 * The store of a run whose checkpoints a callback gets.
 * @param store keeps each of them first; null: they are kept nowhere else.
 * @param base the model that adapters are for.
 */
export const handingOut = (
  store: RunStore | null,
  callbacks: HandOut,
  run: HandedOutRun,
  base: AdapterBase,
): RunStore | null => {
  const name = handedTo(callbacks);
  if (name === null) return store;
  const keeper = store ?? keepNothing(name);
  const give = givingOut(run, base, callbacks);
  return {
    ...keeper,
    async saveCheckpoint(state) {
      const path = await keeper.saveCheckpoint(state);
      await give(state.weights.read, "last");
      return path;
    },
    async saveBest(values, step) {
      await keeper.saveBest(values, step);
      await give(values, "best");
    },
  };
};
