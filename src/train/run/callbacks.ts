/** The caller's callbacks that receive checkpoints. */
import type { AdapterFiles } from "../../pretrained/adapter/opened.ts";
import type { CheckpointFiles } from "../../pretrained/files/names.ts";

/**
 * Last weights, weights with the lowest validation loss, or (only with `train.average`) averaged weights with the
 * lowest validation loss.
 */
export type WhichWeights = "last" | "best" | "averaged";

/**
 * Gets the model's files, in the form that `loadPretrained` reads: "last" at each checkpoint and at the end, "best"
 * after each evaluation with a new lowest validation loss, "averaged" after each evaluation in which averaged weights
 * have a new lowest loss. Files of "last" also have the optimizer's state, the run's
 * description and its events, so that `resume` can continue the run. Training waits for the promise.
 *
 * The type is written as a method, so that TypeScript also accepts a callback that knows only "last" and "best".
 */
export type OnCheckpoint = { call(files: CheckpointFiles, which: WhichWeights): void | Promise<void> }["call"];

/** Gets the adapter of a run with `config.lora`, at the times at which `onCheckpoint` would get the model. */
export type OnAdapter = { call(files: AdapterFiles, which: WhichWeights): void | Promise<void> }["call"];

/** The callbacks of a run. At most one of them may be given. */
export interface HandOut {
  readonly onCheckpoint?: OnCheckpoint | undefined;
  readonly onAdapter?: OnAdapter | undefined;
}

/** Name of the given callback. Events of a run without a folder use it as the path. */
export const handedTo = ({ onCheckpoint, onAdapter }: HandOut): "onCheckpoint" | "onAdapter" | null => {
  if (onCheckpoint !== undefined) return "onCheckpoint";
  return onAdapter === undefined ? null : "onAdapter";
};
