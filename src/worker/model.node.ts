import type { Capabilities } from "../backend/backend.ts";
import {
  checkCallback,
  checkKeys,
  checkName,
  checkNumber,
  checkOptions,
  checkPath,
  checkSignal,
} from "../core/check-arguments.ts";
import { ConfigError } from "../core/errors.ts";
import type { CallOptions } from "../core/remote/caller.ts";
import { takeThread } from "../core/remote/worker.node.ts";
import { show } from "../core/show.ts";
import type { GenerateEvent, GenerateOptions } from "../generate/generate.ts";
import type { ModelConfig } from "../models/config.ts";
import { loadTokenizer } from "../tokenizer/registry.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Evaluation } from "../train/evaluate.ts";
import type { MeasuredCorpus, Measuring } from "../train/evaluate-corpus.ts";
import { workerEntries } from "./entries.node.ts";
import type { LoadedModel, LoadRequest } from "./messages.node.ts";

/** A model in a thread of its own: while it writes or is measured, the thread that calls does other things. */
export interface WorkerModel {
  readonly config: ModelConfig;
  readonly parameters: number;
  readonly tokenizer: Tokenizer;
  readonly backend: { readonly name: string; readonly capabilities: Capabilities };
  /** As the library's `generate`: same events, same errors. The model is at most one token ahead of those taken. */
  generate(options: GenerateOptions): AsyncGenerator<GenerateEvent, void, undefined>;
  /** Cross-entropy on a text, as `evaluate` measures it. */
  evaluate(corpus: MeasuredCorpus, options?: Measuring): Promise<Evaluation>;
  /** Frees the model. A second call does nothing. */
  close(): Promise<void>;
}

/** How `loadInWorker` loads a model. */
export interface WorkerLoadOptions extends Omit<LoadRequest, "directory"> {
  /** One line that the user should see, as that the files are unchecked. A promise is waited for. */
  readonly onNotice?: ((line: string) => void) | undefined;
}

/** @throws ConfigError for what no thread can be sent, as a function. */
const checkCloneable = (where: string, value: unknown): void => {
  try {
    structuredClone(value);
  } catch (cause) {
    throw new ConfigError({
      where,
      must: "must hold numbers, texts, lists and objects alone",
      got: String(cause),
      cause,
    });
  }
};

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
  const thread = takeThread(workerEntries.model);
  /** The only event of a call that has one. */
  const one = async <T>(events: AsyncGenerator<unknown, void, undefined>): Promise<T> => {
    let result: unknown;
    for await (const event of events) result = event;
    return result as T;
  };
  let model: LoadedModel;
  let tokenizer: Tokenizer;
  try {
    const callbacks = { onNotice: (line: string) => onNotice?.(line) };
    model = await one<LoadedModel>(thread.call("load", { directory, ...options }, { callbacks }));
    tokenizer = loadTokenizer(model.tokenizer, `${directory}/tokenizer.json`);
  } catch (error) {
    thread.release();
    throw error;
  }
  const { key, config, parameters, backend, capabilities } = model;
  let closing: Promise<void> | undefined;
  const call = (method: string, args: object, options?: CallOptions): AsyncGenerator<unknown, void, undefined> => {
    if (closing === undefined) return thread.call(method, { key, ...args }, options);
    throw new ConfigError({ where: method, must: "the model must be open", got: "one that was closed" });
  };
  return {
    ...{ config, parameters, tokenizer, backend: { name: backend, capabilities } },
    generate: (settings) => {
      checkOptions("generate: options", settings);
      const { signal, ...options } = settings;
      checkSignal("generate: signal", signal);
      checkCloneable("generate: options", options);
      return call("generate", { options }, { signal }) as AsyncGenerator<GenerateEvent, void, undefined>;
    },
    evaluate: async (corpus, measuring = {}) => {
      checkCorpus("evaluate: corpus", corpus);
      checkKeys("evaluate", measuring, ["split", "signal", "onProgress"]);
      const { name, train, val, parts } = corpus;
      const { split = "val", signal, onProgress } = measuring;
      checkSignal("evaluate: signal", signal);
      checkCallback("evaluate: onProgress", onProgress);
      checkName("evaluate: split", split);
      const callbacks = { onProgress: (done: number, all: number) => onProgress?.(done, all) };
      return one(call("evaluate", { corpus: { name, train, val, parts }, split }, { signal, callbacks }));
    },
    close: () => {
      // Where the thread is gone, so is the model.
      closing ??= one<void>(thread.call("close", { key }))
        .catch(() => {})
        .finally(() => thread.release());
      return closing;
    },
  };
};
