/** Checkpoints for the caller's `onCheckpoint`, besides a run's folder or instead of one. */
import { type CheckpointFiles, checkpointFiles } from "../../pretrained/checkpoint-files.ts";
import type { KeptFacts } from "../../pretrained/pretrained-files.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { RunConfig } from "../config/config.ts";
import type { RunStore } from "./run-input.ts";

/**
 * Gets the model at each checkpoint, at the end at the latest ("last"), and whenever its validation loss is the lowest
 * so far ("best"), in the form for `loadPretrained`. Training waits for the promise.
 */
export type OnCheckpoint = (files: CheckpointFiles, which: "last" | "best") => void | Promise<void>;

/** A store that hands the model out and keeps nothing: events have this name for its path. */
const handOver: RunStore = {
  path: "onCheckpoint",
  record: async () => {},
  saveCheckpoint: async () => "onCheckpoint",
  saveBest: async () => {},
};

/**
 * The store of a run whose checkpoints `onCheckpoint` gets.
 * @param store keeps each of them first; null: they are kept nowhere else.
 * @param facts of the model that the run began with.
 */
export const handingOut = (
  store: RunStore | null,
  onCheckpoint: OnCheckpoint | undefined,
  {
    config: { model },
    tokenizer,
    facts,
  }: { readonly config: RunConfig; readonly tokenizer: Tokenizer; readonly facts?: KeptFacts | undefined },
): RunStore | null => {
  if (onCheckpoint === undefined) return store;
  const keeper = store ?? handOver;
  return {
    ...keeper,
    async saveCheckpoint(state) {
      const path = await keeper.saveCheckpoint(state);
      await onCheckpoint(await checkpointFiles(model, tokenizer, state.weights.read, facts), "last");
      return path;
    },
    async saveBest(values, step) {
      await keeper.saveBest(values, step);
      await onCheckpoint(await checkpointFiles(model, tokenizer, values, facts), "best");
    },
  };
};
