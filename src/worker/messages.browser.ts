import type { BackendChoice } from "../backend/select.browser.ts";
import type { CheckpointFiles } from "../pretrained/load.browser.ts";
import type { TrainOptions } from "../train/train.browser.ts";

/** A model to load, as `loadPretrained` is told. */
export interface LoadRequest {
  /** An address that is complete: a worker may have another base than its page. */
  readonly checkpoint: string | CheckpointFiles;
  readonly backend?: BackendChoice | undefined;
  readonly threads?: number | undefined;
}

/** A run, as `train` is told. */
export interface TrainRequest extends Omit<TrainOptions, "signal" | "onCheckpoint"> {
  /** Whether somebody takes its checkpoints. */
  readonly saved: boolean;
}
