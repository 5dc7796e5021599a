/** The module of a worker thread that trains. */
import type { CallContext } from "../core/remote/server.ts";
import { serveThread } from "../core/remote/worker.node.ts";
import type { TrainEvent } from "../train/events.ts";
import { type TrainOptions, train } from "../train/train.node.ts";

serveThread({
  train: (options: TrainOptions, { signal, ask }: CallContext): AsyncGenerator<TrainEvent, void> =>
    train({ ...options, signal, onNotice: (line) => ask("onNotice", line) }),
});
