import type { Capabilities } from "../backend/backend.ts";
import { checkOptions } from "../core/check-arguments.ts";
import { ConfigError } from "../core/errors.ts";
import type { CallOptions } from "../core/remote/caller.ts";
import { takeThread } from "../core/remote/worker.node.ts";
import type { GenerateEvent, GenerateOptions } from "../generate/generate.ts";
import type { ModelConfig } from "../models/config.ts";
import { loadTokenizer } from "../tokenizer/registry.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Evaluation } from "../train/evaluate.ts";
import type { MeasuredCorpus, Measuring } from "../train/evaluate-corpus.ts";
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
  /** One line that the user should see, as that the files are unchecked. */
  readonly onNotice?: ((line: string) => void) | undefined;
}

const entry = new URL("./model-entry.node.js", import.meta.url);

/**
 * Loads a checkpoint directory in a thread of its own.
 * @throws as `loadPretrained`
 */
export const loadInWorker = async (
  directory: string,
  { onNotice, ...options }: WorkerLoadOptions = {},
): Promise<WorkerModel> => {
  checkOptions("loadInWorker: options", options);
  const thread = takeThread(entry);
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
    generate: ({ signal, ...options }) =>
      call("generate", { options }, { signal }) as AsyncGenerator<GenerateEvent, void, undefined>,
    evaluate: async ({ name, train, val, parts }, { split = "val", signal, onProgress } = {}) => {
      const callbacks = { onProgress: (done: number, all: number) => onProgress?.(done, all) };
      return one(call("evaluate", { corpus: { name, train, val, parts }, split }, { signal, callbacks }));
    },
    close: () => {
      closing ??= one<void>(thread.call("close", { key })).finally(() => thread.release());
      return closing;
    },
  };
};
