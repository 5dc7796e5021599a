import { backendChoices } from "../backend/select.node.ts";
import { checkCallback, checkKeys, checkName, checkNumber, checkPath } from "../core/check-arguments.ts";
import { ConfigError } from "../core/errors.ts";
import { takeThread } from "../core/remote/worker.node.ts";
import { show } from "../core/show.ts";
import type { Evaluation } from "../train/measuring/evaluate.ts";
import type { MeasuredCorpus, Measuring } from "../train/measuring/evaluate-corpus.ts";
import { workerEntries } from "./entries.node.ts";
import { checkLoadInWorker, loadIn, type ThreadModel } from "./model.ts";
import type { LoadRequest } from "./model-entry.node.ts";

/** A model in its own thread: while it computes, the calling thread does other things. */
export interface WorkerModel extends ThreadModel {
  /** Cross-entropy on a text, as `evaluate` measures it. */
  evaluate(corpus: MeasuredCorpus, options?: Measuring): Promise<Evaluation>;
}

/** Options of `loadInWorker`. */
export interface WorkerLoadOptions extends Omit<LoadRequest, "directory"> {
  /** Gets one line for the user, such as that the files are unchecked. A promise is waited for. */
  readonly onNotice?: ((line: string) => void) | undefined;
}

const checkCorpus = (where: string, value: unknown): void => {
  const { train, val, parts } = (value ?? {}) as Partial<Record<keyof MeasuredCorpus, unknown>>;
  if (typeof train === "string" && typeof val === "string" && Array.isArray(parts)) return;
  throw new ConfigError({
    where,
    must: "must be a text, as loadCorpus gives it",
    got: show(value),
    hint: "await loadCorpus(path)",
  });
};

/**
 * Loads a checkpoint directory in its own thread.
 * @throws as `loadPretrained`
 */
export const loadInWorker = async (directory: string, given: WorkerLoadOptions = {}): Promise<WorkerModel> => {
  checkPath("loadInWorker: directory", directory);
  checkLoadInWorker(given, backendChoices);
  checkKeys("loadInWorker", given, ["backend", "threads", "dtype", "onNotice"]);
  const { onNotice, ...options } = given;
  checkCallback("loadInWorker: onNotice", onNotice);
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
