/** A model in a thread of its own: what Node and browsers have in common. */
import type { Capabilities } from "../backend/backend.ts";
import { checkCallback, checkOptions, checkSignal } from "../core/check-arguments.ts";
import { ConfigError } from "../core/errors.ts";
import type { CallOptions } from "../core/remote/caller.ts";
import type { WorkerThread } from "../core/remote/pool.ts";
import type { GenerateEvent, GenerateOptions } from "../generate/generate.ts";
import type { ModelConfig } from "../models/config.ts";
import { loadTokenizer } from "../tokenizer/registry.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Evaluation } from "../train/measuring/evaluate.ts";
import type { MeasuredCorpus, Measuring } from "../train/measuring/evaluate-corpus.ts";
import type { LoadedModel } from "./model-methods.ts";

/** What a model in a thread of its own has wherever it is. */
export interface ThreadModel {
  readonly config: ModelConfig;
  readonly parameters: number;
  readonly tokenizer: Tokenizer;
  readonly backend: { readonly name: string; readonly capabilities: Capabilities };
  /** As the library's `generate`: same events, same errors. The model is at most one token ahead of those taken. */
  generate(options: GenerateOptions): AsyncGenerator<GenerateEvent, void, undefined>;
  /** Frees the model. A second call does nothing. */
  close(): Promise<void>;
}

/** A model, and how it is measured. */
export interface LoadedInThread {
  readonly model: ThreadModel;
  evaluate(corpus: MeasuredCorpus, measuring: Measuring): Promise<Evaluation>;
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

/** The only event of a call that has one. */
const one = async <T>(events: AsyncGenerator<unknown, void, undefined>): Promise<T> => {
  let result: unknown;
  for await (const event of events) result = event;
  return result as T;
};

/**
 * Has `thread` load a model; it is given back when the model is closed, or could not be loaded.
 * @param where what errors call the checkpoint.
 */
export const loadIn = async (
  thread: WorkerThread,
  request: object,
  where: string,
  callbacks: NonNullable<CallOptions["callbacks"]> = {},
): Promise<LoadedInThread> => {
  let model: LoadedModel;
  let tokenizer: Tokenizer;
  try {
    model = await one<LoadedModel>(thread.call("load", request, { callbacks }));
    tokenizer = loadTokenizer(model.tokenizer, `${where}/tokenizer.json`);
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
    model: {
      ...{ config, parameters, tokenizer, backend: { name: backend, capabilities } },
      generate: (settings) => {
        checkOptions("generate: options", settings);
        const { signal, ...options } = settings;
        checkSignal("generate: signal", signal);
        checkCloneable("generate: options", options);
        return call("generate", { options }, { signal }) as AsyncGenerator<GenerateEvent, void, undefined>;
      },
      close: () => {
        // Where the thread is gone, so is the model.
        closing ??= one<void>(thread.call("close", { key }))
          .catch(() => {})
          .finally(() => thread.release());
        return closing;
      },
    },
    evaluate: async ({ name, train, val, parts }, { split = "val", signal, onProgress }) => {
      checkSignal("evaluate: signal", signal);
      checkCallback("evaluate: onProgress", onProgress);
      const callbacks = { onProgress: (done: number, all: number) => onProgress?.(done, all) };
      return one(call("evaluate", { corpus: { name, train, val, parts }, split }, { signal, callbacks }));
    },
  };
};
