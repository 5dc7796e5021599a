import { checkCallback, checkSignal } from "../core/checks/check-arguments.ts";
import { isRecord } from "../core/checks/is-record.ts";
import type { CheckpointFiles } from "../pretrained/files/names.ts";
import type { TrainEvent } from "../runs/events.ts";
import { filesToResume } from "../runs/resume/given-run.ts";
import { handedTo } from "../train/run/callbacks.ts";
import { type TrainOptions as TrainHere, train as trainHere } from "../train/train.browser.ts";
import { sentCheckpoint } from "./model.browser.ts";
import { workers } from "./pool.browser.ts";
import { canSend, handOutCallbacks, splitWorker, trainIn } from "./train.ts";

/** Options of `train`. */
export interface TrainOptions extends TrainHere {
  /**
   * Whether a backend that is given by name is opened in a worker. The calling thread then stays free. Default: true on
   * the page's own thread, and false elsewhere, for example in a worker.
   */
  readonly worker?: boolean | undefined;
}

/** The options in a form that can be sent. Invalid options are refused later, where they are used. */
const sendable = (options: TrainHere): TrainHere => {
  const { initFrom, resume } = options;
  const isAddress = typeof initFrom === "string" || initFrom instanceof URL;
  return {
    ...options,
    ...(isAddress ? { initFrom: sentCheckpoint(initFrom) } : {}),
    ...(isRecord(resume) ? { resume: filesToResume(resume as CheckpointFiles) } : {}),
  };
};

/** Whether this thread is a page's own thread, which draws the page and handles input. */
const isPage = (): boolean => typeof document !== "undefined";

/**
 * Trains a model on a text and yields events: `start`, a `step` for each update, `eval`, `sample`, `checkpoint`,
 * `done`. The same options and backend give the same bits with any number of threads, in a worker or on the page's
 * thread. The `wasm` backend in Node gives the same bits, too.
 *
 * If the backend is given by name, the run has its own worker, so the page stays responsive. The run is at most one
 * event ahead of the caller. An opened backend stays on its thread.
 *
 * If the caller leaves the loop, by `break` or by an error, the run ends without saving. The steps since the last call
 * of `onCheckpoint` are then lost. To keep these steps, abort `signal` and read all events to the end.
 *
 * @param options text, preset and changes to it, backend, callbacks.
 * @throws ConfigError for options that cannot work, or a page that cannot start a worker.
 * @throws DataError for text that cannot be used.
 * @throws UnsupportedKernelError for a backend that the page lacks.
 * @example
 * ```ts
 * import { type CheckpointFiles, train } from "foretoken/browser";
 *
 * const text = await (await fetch("notes.txt")).text();
 * let files: CheckpointFiles | undefined;
 * const onCheckpoint = (saved: CheckpointFiles): void => {
 *   files = saved;
 * };
 * for await (const event of train({ text, onCheckpoint, config: { train: { steps: 200 } } })) {
 *   if (event.type === "step") console.log(event.step, event.loss);
 * }
 * ```
 */
export async function* train(options: TrainOptions): AsyncGenerator<TrainEvent, void, undefined> {
  const { worker, rest } = splitWorker<TrainHere>(options, isPage());
  const { signal, onCheckpoint, onAdapter, onNotice, ...args } = sendable(rest);
  checkSignal("train: signal", signal);
  checkCallback("train: onCheckpoint", onCheckpoint);
  checkCallback("train: onAdapter", onAdapter);
  checkCallback("train: onNotice", onNotice);
  if (!worker || !canSend(args)) {
    yield* trainHere(rest);
    return;
  }
  const callbacks = { ...handOutCallbacks(rest), onNotice: (line: string) => onNotice?.(line) };
  yield* trainIn(workers.take(), { ...args, handedTo: handedTo(rest) }, { signal, callbacks });
}
