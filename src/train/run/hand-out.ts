/** Checkpoints for the caller's `onCheckpoint` or `onAdapter`, besides a run's folder or instead of one. */

import type { RunConfig } from "../../config/config.ts";
import type { ReadValues } from "../../models/arena.ts";
import type { AdapterBase } from "../../pretrained/adapter/config.ts";
import type { AdapterFiles } from "../../pretrained/adapter/load.ts";
import { adapterTextFiles } from "../../pretrained/adapter/text.ts";
import { adapterFiles } from "../../pretrained/adapter/write.ts";
import { checkpointFiles, filesInMemory } from "../../pretrained/files/checkpoint-files.ts";
import type { KeptFacts } from "../../pretrained/files/pretrained-files.ts";
import type { RunStore } from "../../runs/store.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { type HandOut, handedTo, type WhichWeights } from "./callbacks.ts";

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
