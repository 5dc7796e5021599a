/** What a worker thread runs that trains: see `train`. */
import { serveThread } from "../core/remote/worker.node.ts";
import { type TrainOptions, trainHere } from "./train.node.ts";

serveThread({
  train: (options: TrainOptions, { signal, tell }) =>
    trainHere({ ...options, signal, onNotice: (line) => tell("onNotice", line) }),
});
