/** The module of a worker thread that trains. */
import type { CallContext } from "../core/remote/server.ts";
import { serveThread } from "../core/remote/worker.node.ts";
import type { TrainEvent } from "../runs/events.ts";
import type { HandOut } from "../train/run/callbacks.ts";
import { type TrainOptions, train } from "../train/train.node.ts";
import { handOutOf } from "./train.ts";

/** A run, with the options of `train`. */
interface TrainRequest {
  readonly options: TrainOptions;
  /** The callback that receives checkpoints. Null if there is no callback. */
  readonly handedTo: keyof HandOut | null;
}

serveThread({
  train: ({ options, handedTo }: TrainRequest, { signal, ask }: CallContext): AsyncGenerator<TrainEvent, void> => {
    const onNotice = (line: string): Promise<void> => ask("onNotice", line);
    return train({ ...options, signal, onNotice, ...handOutOf(handedTo, ask) });
  },
});
