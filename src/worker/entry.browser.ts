/** The module of a page's workers: it trains, or holds models, generates with them and evaluates them. */
import type { BackendChoice } from "../backend/select.browser.ts";
import type { CallContext } from "../core/remote/server.ts";
import { serveWorker } from "../core/remote/worker.browser.ts";
import { type CheckpointFiles, loadPretrained } from "../pretrained/load.browser.ts";
import type { TrainEvent } from "../train/events.ts";
import { evaluateCorpus } from "../train/measuring/evaluate-corpus.ts";
import { type TrainOptions, train } from "../train/train.browser.ts";
import { modelMethods } from "./model-methods.ts";

/** A model to load, in the form of `loadPretrained`'s arguments. */
export interface LoadRequest {
  /** A complete address: a worker may have another base than its page. */
  readonly checkpoint: string | CheckpointFiles;
  readonly backend?: BackendChoice | undefined;
  readonly threads?: number | undefined;
}

/** A run, in the form of `train`'s options. */
export interface TrainRequest extends Omit<TrainOptions, "signal" | "onCheckpoint"> {
  /** Whether the caller takes its checkpoints. */
  readonly saved: boolean;
}

serveWorker({
  ...modelMethods(
    ({ checkpoint, ...options }: LoadRequest) => loadPretrained(checkpoint, options),
    async () => evaluateCorpus,
  ),

  train: ({ saved, ...given }: TrainRequest, { signal, ask }: CallContext): AsyncGenerator<TrainEvent, void> => {
    const options: TrainOptions = { ...given, signal };
    const onCheckpoint = (files: CheckpointFiles, which: string): Promise<void> => ask("onCheckpoint", files, which);
    return train(saved ? { ...options, onCheckpoint } : options);
  },
});
