/** The caller's callbacks that get checkpoints. */
import type { AdapterFiles } from "../../pretrained/adapter/load.ts";
import type { CheckpointFiles } from "../../pretrained/files/checkpoint-files.ts";

/** The last weights, or those of the lowest validation loss. */
export type WhichWeights = "last" | "best";

/**
 * Gets the model at each checkpoint, at the end at the latest ("last"), and whenever its validation loss is the lowest
 * so far ("best"), in the form for `loadPretrained`. Those of "last" have the optimizer's state too, the run's description and its notes, for
 * `resume`. Training waits for the promise.
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
