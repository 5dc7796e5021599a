/** The module of a worker thread that trains. */
import type { CallContext } from "../core/remote/server.ts";
import { serveThread } from "../core/remote/worker.node.ts";
import type { CheckpointFiles } from "../pretrained/checkpoint-files.ts";
import type { TrainEvent } from "../train/events.ts";
import { type TrainOptions, train } from "../train/train.node.ts";

/** A run, in the form of `train`'s options. */
interface TrainRequest {
  readonly options: TrainOptions;
  /** Whether the caller takes its checkpoints. */
  readonly handedOut: boolean;
}

serveThread({
  train: ({ options, handedOut }: TrainRequest, { signal, ask }: CallContext): AsyncGenerator<TrainEvent, void> => {
    const onNotice = (line: string): Promise<void> => ask("onNotice", line);
    const onCheckpoint = (files: CheckpointFiles, which: string): Promise<void> => ask("onCheckpoint", files, which);
    return train({ ...options, signal, onNotice, ...(handedOut ? { onCheckpoint } : {}) });
  },
});
