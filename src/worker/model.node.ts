import { checkCallback, checkKeys, checkName, checkNumber, checkPath } from "../core/check-arguments.ts";
import { ConfigError } from "../core/errors.ts";
import { takeThread } from "../core/remote/worker.node.ts";
import { show } from "../core/show.ts";
import type { Evaluation } from "../train/measuring/evaluate.ts";
import type { MeasuredCorpus, Measuring } from "../train/measuring/evaluate-corpus.ts";
import { workerEntries } from "./entries.node.ts";
import { loadIn, type ThreadModel } from "./model.ts";
import type { LoadRequest } from "./model-entry.node.ts";

/** A model in a thread of its own: while it writes or is measured, the thread that calls does other things. */
export interface WorkerModel extends ThreadModel {
  /** Cross-entropy on a text, as `evaluate` measures it. */
  evaluate(corpus: MeasuredCorpus, options?: Measuring): Promise<Evaluation>;
}

/** How `loadInWorker` loads a model. */
export interface WorkerLoadOptions extends Omit<LoadRequest, "directory"> {
  /** One line that the user should see, as that the files are unchecked. A promise is waited for. */
  readonly onNotice?: ((line: string) => void) | undefined;
}

const checkCorpus = (where: string, value: unknown): void => {
  const { train, val, parts } = (value ?? {}) as Partial<Record<keyof MeasuredCorpus, unknown>>;
  if (typeof train === "string" && typeof val === "string" && Array.isArray(parts)) return;
  throw new ConfigError({ where, must: "must be a text, as loadCorpus gives it", got: show(value) });
};

/**
 * Loads a checkpoint directory in a thread of its own.
 * @throws as `loadPretrained`
 */
export const loadInWorker = async (directory: string, given: WorkerLoadOptions = {}): Promise<WorkerModel> => {
  checkPath("loadInWorker: directory", directory);
  checkKeys("loadInWorker", given, ["backend", "threads", "dtype", "onNotice"]);
  const { onNotice, ...options } = given;
  checkCallback("loadInWorker: onNotice", onNotice);
  // An opened one stays on the thread that has opened it.
  if (options.backend !== undefined) checkName("loadInWorker: backend", options.backend);
  if (options.threads !== undefined) checkNumber("loadInWorker: threads", options.threads);
  if (options.dtype !== undefined) checkName("loadInWorker: dtype", options.dtype);
  const callbacks = { onNotice: (line: string) => onNotice?.(line) };
  const thread = takeThread(workerEntries.model);
  const { model, evaluate } = await loadIn(thread, { directory, ...options }, directory, callbacks);
  return {
    ...model,
    evaluate: async (corpus, measuring = {}) => {
      checkCorpus("evaluate: corpus", corpus);
      checkKeys("evaluate", measuring, ["split", "signal", "onProgress"]);
      if (measuring.split !== undefined) checkName("evaluate: split", measuring.split);
      return evaluate(corpus, measuring);
    },
  };
};
