import { adviseOnce } from "../backend/advise.node.ts";
import { checkTrainOptions } from "../config/options.ts";
import { takeThread } from "../core/remote/worker.node.ts";
import type { TrainEvent } from "../runs/events.ts";
import { setUcx } from "../train/ranks/addon.node.ts";
import { handedTo } from "../train/run/callbacks.ts";
import {
  type NewRun as NewRunHere,
  type ResumedRunOptions as ResumedRunHere,
  type TrainOptions as TrainHere,
  train as trainHere,
} from "../train/train.node.ts";
import { workerEntries } from "./entries.node.ts";
import { canSend, handOutCallbacks, splitWorker, trainIn } from "./train.ts";

interface Threading {
  /**
   * Whether a backend that is given by name is opened in its own thread. If false, it is opened on the calling thread.
   * Default true.
   */
  readonly worker?: boolean | undefined;
}
/** Options of a new run. */
export interface NewRun extends NewRunHere, Threading {}
/** Options of a run that resumes from a checkpoint. */
export interface ResumedRunOptions extends ResumedRunHere, Threading {}

/** Options of `train`, to start or to resume a run. */
export type TrainOptions = NewRun | ResumedRunOptions;

/**
 * Trains a model and yields events: `start`, a `step` for each update, `eval`, `sample`, `checkpoint`, `done`. The same
 * options, backend and instruction set give the same bits with any number of threads. Stopping and resuming a run does
 * not change the bits. All input is checked before anything is written.
 *
 * If the backend is given by name, the run has its own thread. Timers, signals and input are then handled even if a
 * step takes seconds. The run is at most one event ahead of the caller. An opened backend stays on its thread.
 *
 * If the caller leaves the loop, by `break` or by an error, the run ends without saving. The steps since the last
 * checkpoint are then lost. To keep these steps, abort `signal` and read all events to the end.
 *
 * @param options text, preset and changes to it, folder, backend; or a run to resume.
 * @throws ConfigError for options that cannot work.
 * @throws DataError for text that cannot be used.
 * @throws CheckpointError for a run that cannot be resumed.
 * @throws UnsupportedKernelError for a backend that this machine lacks.
 * @example
 * ```ts
 * import { train } from "foretoken";
 *
 * for await (const event of train({ data: "notes.txt", out: "runs/notes", config: { train: { steps: 500 } } })) {
 *   if (event.type === "eval") console.log(`step ${event.step}: ${event.valLoss} nats per token`);
 * }
 * ```
 */
export async function* train(options: TrainOptions = {}): AsyncGenerator<TrainEvent, void, undefined> {
  const { worker, rest } = splitWorker<TrainHere>(options, true);
  checkTrainOptions(rest);
  if (rest.mpi === true) setUcx();
  const { signal, onNotice, onCheckpoint, onAdapter, ...args } = rest;
  await adviseOnce(rest.backend, onNotice);
  if (!worker || !canSend(args)) {
    yield* trainHere(rest);
    return;
  }
  const callbacks = { ...handOutCallbacks(rest), onNotice: (line: string) => onNotice?.(line) };
  const request = { options: args, handedTo: handedTo(rest) };
  // In two cases, the call waits until the run ends. A rank that leaves at once would let the other ranks wait. A
  // resumed run holds its folder's lock while its text is read.
  const leaves = rest.mpi !== true && rest.resume === undefined;
  yield* trainIn(takeThread(workerEntries.train), request, { signal, callbacks }, leaves);
}
