import { takeThread } from "../core/remote/worker.node.ts";
import { checkTrainOptions } from "../train/config/options.ts";
import type { TrainEvent } from "../train/events.ts";
import {
  type NewRun as NewRunHere,
  type ResumedRunOptions as ResumedRunHere,
  type TrainOptions as TrainHere,
  train as trainHere,
} from "../train/train.node.ts";
import { workerEntries } from "./entries.node.ts";
import { canSend, splitWorker, trainIn } from "./train.ts";

interface Threading {
  /** false: a backend by name is opened on the thread that calls, too. Default true: it has a thread of its own. */
  readonly worker?: boolean | undefined;
}
/** A run from its beginning. */
export interface NewRun extends NewRunHere, Threading {}
/** A run that goes on from a checkpoint. */
export interface ResumedRunOptions extends ResumedRunHere, Threading {}

/** What `train` is told: to begin a run, or to go on with one. */
export type TrainOptions = NewRun | ResumedRunOptions;

/**
 * Trains a model and yields what happens: `start`, a `step` for each update, `eval`, `sample`, `checkpoint`, `done`.
 * Same options, backend and instruction set: same bits, with any number of threads, interrupted or not.
 * All input is checked before anything is written.
 *
 * With a backend by name the run has a thread of its own: timers, signals and input are heard while a step takes seconds.
 * It is at most one event ahead of those that were taken. A backend that was opened by the caller stays on its thread.
 *
 * @throws ConfigError for options that cannot work, DataError for text that cannot be used, CheckpointError for a run
 *   that cannot be resumed, UnsupportedKernelError for a backend that this machine lacks.
 */
export async function* train(options: TrainOptions = {}): AsyncGenerator<TrainEvent, void, undefined> {
  const { worker, rest } = splitWorker<TrainHere>(options, true);
  checkTrainOptions(rest);
  const { signal, onNotice, ...args } = rest;
  if (!worker || !canSend(args)) {
    yield* trainHere(rest);
    return;
  }
  const callbacks = { onNotice: (line: string) => onNotice?.(line) };
  yield* trainIn(takeThread(workerEntries.train), args, { signal, callbacks });
}
