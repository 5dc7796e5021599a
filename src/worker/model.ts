/** A model in its own thread. Node and browsers share this code. */
import type { Capabilities } from "../backend/backend.ts";
import {
  checkBoolean,
  checkCallback,
  checkIdList,
  checkKeys,
  checkOptions,
  checkSignal,
  isBackend,
} from "../core/checks/check-arguments.ts";
import { ConfigError } from "../core/errors/errors.ts";
import type { CallOptions } from "../core/remote/caller.ts";
import type { WorkerThread } from "../core/remote/pool.ts";
import { alternatives } from "../core/text/alternatives.ts";
import { show } from "../core/text/show.ts";
import type { EngineCounts } from "../engine/engine.ts";
import type { ChoiceQuestion, ChoicesEvaluation, ChoicesOptions } from "../evaluate/choices.ts";
import type { Evaluation } from "../evaluate/evaluate.ts";
import type { MeasuredCorpus, Measuring } from "../evaluate/evaluate-corpus.ts";
import type { BeamSearchOptions, BeamText } from "../generate/beam-search.ts";
import {
  type EngineGenerateOptions,
  type EngineOptions,
  engineOptionNames,
  parseEngineOptions,
} from "../generate/engine-options.ts";
import type { GenerateEvent } from "../generate/events.ts";
import type { GenerateManyOptions, ManyPrompt, ManyText } from "../generate/generate-many.ts";
import { type GenerateOptions, generateOptionNames, parseGenerateOptions } from "../generate/options.ts";
import type { EngineEvent } from "../generate/text-engine.ts";
import type { ModelConfig } from "../models/config.ts";
import { checkAdapterName } from "../pretrained/adapter/check.ts";
import { closedError } from "../pretrained/model/closed.ts";
import type { ChatTemplate } from "../pretrained/model/language-model.ts";
import type { Score } from "../pretrained/model/score.ts";
import { checkScoreOptions, type ScoreOptions } from "../pretrained/model/score-options.ts";
import { noTokenizer } from "../tokenizer/none.ts";
import { loadTokenizer } from "../tokenizer/registry.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { callsInside, type ThreadInside } from "./model-inside.ts";
import type { LoadedModel, ManyRequest, ScoreRequest } from "./model-methods.ts";

/** Members of a model in its own thread, both in Node and in a page. */
export interface ThreadModel extends ThreadInside {
  /** Its shape. */
  readonly config: ModelConfig;
  /** Number of trainable parameters. */
  readonly parameters: number;
  /** Converts text to token ids and ids to text, on the calling thread. */
  readonly tokenizer: Tokenizer;
  /** The chat template that writes conversations as text. Null if the model was not trained for conversations. */
  readonly chatTemplate: ChatTemplate | null;
  /** Ids of tokens that end a text. Generation stops at these tokens. */
  readonly endTokens: readonly number[];
  /** Names of the model's LoRA adapters. */
  readonly adapters: readonly string[];
  /** The adapter in use. Null if only the model's own weights are used. */
  readonly adapter: string | null;
  /**
   * Changes to another adapter, or to no adapter. Calls that have already begun do not change.
   * @param name one of `adapters`, or null.
   * @throws ConfigError for an unknown name.
   */
  useAdapter(name: string | null): Promise<void>;
  /** Properties of the backend that the thread uses. */
  readonly backend: {
    /** Its kind. */
    readonly name: string;
    /** Properties of the backend. */
    readonly capabilities: Capabilities;
  };
  /**
   * Does the same as the library's `generate`, with equal events and errors. Texts that are generated at the same time
   * share forward passes. The keys and values of a text's beginning are kept for the next text. The model may be a few
   * tokens ahead of the reader.
   */
  generate(options?: GenerateOptions): AsyncGenerator<GenerateEvent, void, undefined>;
  /**
   * Does the same as the library's `openEngine`, with equal texts and errors. The engine runs in the model's thread.
   * Closing the model also closes the engine.
   */
  openEngine(options?: EngineOptions): Promise<ThreadEngine>;
  /**
   * Does the same as the library's `generateMany`, with equal texts and errors. The prompts must be a list. An engine
   * in the thread writes many texts at a time.
   */
  generateMany(
    prompts: readonly ManyPrompt[],
    options?: GenerateManyOptions,
  ): AsyncGenerator<ManyText, void, undefined>;
  /** Does the same as the library's `beamSearch`, with equal texts and errors. */
  beamSearch(options?: BeamSearchOptions): Promise<readonly BeamText[]>;
  /** Does the same as the library's `evaluateChoices`, with equal numbers and errors. */
  evaluateChoices(questions: readonly ChoiceQuestion[], options?: ChoicesOptions): Promise<ChoicesEvaluation>;
  /** Does the same as `score` of a model from `loadPretrained`, with equal numbers and errors. */
  score(text: string | ArrayLike<number>, options?: ScoreOptions): Promise<Score>;
  /** Frees the model. Calls in progress fail. A second call of `close` does nothing. */
  close(): Promise<void>;
}

/** An engine of a model in its own thread. See `openEngine`. */
export interface ThreadEngine {
  /** Does the same as `generate` of the library's engine. */
  generate(options?: EngineGenerateOptions): AsyncGenerator<EngineEvent, void, undefined>;
  /**
   * Yields the events of `generate` in batches. A batch contains all events since the previous batch. If many texts are
   * read, batches need fewer messages between threads.
   */
  generateBatches(options?: EngineGenerateOptions): AsyncGenerator<readonly EngineEvent[], void, undefined>;
  /** Counters since the engine was opened, and the present contents of the engine. */
  counts(): Promise<EngineCounts>;
  /** Frees the cache. Texts in progress fail. A second call of `close` does nothing. */
  close(): Promise<void>;
}

/** A model, together with the function that evaluates it. */
export interface LoadedInThread {
  readonly model: ThreadModel;
  evaluate(corpus: MeasuredCorpus, measuring: Measuring): Promise<Evaluation>;
}

/**
 * Checks the types of the options of `loadInWorker`. The backend must be a name, because only a name can be sent to a
 * thread.
 * @param names names of all backends.
 * @throws ConfigError for invalid options.
 */
export const checkLoadInWorker = (options: unknown, names: readonly string[]): void => {
  const quoted = (name: unknown): string | undefined => names.find((one) => one === name);
  const refuse = (where: string, must: string, got: string, name: string | undefined): never => {
    const hint = name === undefined ? {} : { hint: `{ backend: ${JSON.stringify(name)} }` };
    throw new ConfigError({ where: `loadInWorker: ${where}`, must, got, ...hint });
  };
  if (typeof options === "string") refuse("options", "must be an object of options", show(options), quoted(options));
  checkOptions("loadInWorker: options", options);
  const backend: unknown = Reflect.get(options as object, "backend");
  if (backend === undefined || (typeof backend === "string" && backend !== "")) return;
  const must = `must be a name: ${alternatives(names)}`;
  if (!isBackend(backend)) refuse("backend", must, show(backend), undefined);
  const got = "an opened backend, which stays on the thread that opened it";
  refuse("backend", must, got, quoted(Reflect.get(backend as object, "name")));
};

/** @throws ConfigError for options that cannot be sent to a thread, such as a function. */
const checkCloneable = (where: string, options: object): void => {
  try {
    structuredClone(options);
  } catch (cause) {
    if (typeof Reflect.get(options, "speculate") === "object") {
      const [must, got] = ['must be false, "ngram" or "draft" in a worker', "a model, which stays on its thread"];
      throw new ConfigError({ where: "generate: speculate", must, got, hint: "loadInWorker(path, { draft })" });
    }
    // This check throws an error that names the option.
    if (where === "generate: options") parseGenerateOptions(options);
    throw new ConfigError({
      where,
      must: "must hold only numbers, texts, lists and objects",
      got: String(cause),
      cause,
    });
  }
};

/** The parts of a corpus that a thread needs. */
const sentCorpus = (given: MeasuredCorpus): MeasuredCorpus => {
  if ("documents" in given) return { name: given.name, documents: given.documents };
  const { name, train, val, parts } = given;
  return { name, train, val, parts };
};

/** The only event of a call that returns a single event. */
const one = async <T>(events: AsyncGenerator<unknown, void, undefined>): Promise<T> => {
  let result: unknown;
  for await (const event of events) result = event;
  return result as T;
};

/** Yields the events of batches one by one. */
async function* flat<Event>(batches: AsyncGenerator<readonly Event[]>): AsyncGenerator<Event, void, undefined> {
  for await (const events of batches) for (const event of events) yield event;
}

type Call = (method: string, args: object, options?: CallOptions) => AsyncGenerator<unknown, void, undefined>;

/** An engine in a model's thread, by its key. */
const engineIn = (engine: number, call: Call): ThreadEngine => {
  const generateBatches: ThreadEngine["generateBatches"] = (given = {}) => {
    checkKeys("generate", given, engineOptionNames);
    const { signal, ...options } = given;
    checkSignal("generate: signal", signal);
    checkCloneable("generate: options", options);
    return call("generateBeside", { engine, options }, { signal }) as ReturnType<ThreadEngine["generateBatches"]>;
  };
  return {
    generateBatches,
    generate: (options) => flat(generateBatches(options)),
    counts: () => one<EngineCounts>(call("engineCounts", { engine })),
    close: () => one<void>(call("closeEngine", { engine })),
  };
};

/**
 * Loads a model in `thread`. The thread is released when the model is closed, or cannot be loaded.
 * @param where the checkpoint's name in errors.
 */
export const loadIn = async (
  thread: WorkerThread,
  request: object,
  where: string,
  callbacks: NonNullable<CallOptions["callbacks"]> = {},
): Promise<LoadedInThread> => {
  let model: LoadedModel;
  let tokenizer: Tokenizer;
  /** Undefined if the model has no tokenizer. */
  let making: Promise<Tokenizer> | undefined;
  const onTokenizer = (json: unknown): void => {
    making = loadTokenizer(json, `${where}/tokenizer.json`);
    // The promise is awaited below. Until then, its error must not be reported as unhandled.
    making.catch(() => {});
  };
  try {
    model = await one<LoadedModel>(thread.call("load", request, { callbacks: { ...callbacks, onTokenizer } }));
    tokenizer = await (making ?? noTokenizer(where, model.vocabSize));
  } catch (error) {
    thread.release();
    throw error;
  }
  const { key, config, parameters, chatTemplate, endTokens, adapters, backend, capabilities } = model;
  let { adapter } = model;
  let closing: Promise<void> | undefined;
  async function* events(
    method: string,
    args: object,
    options?: CallOptions,
  ): AsyncGenerator<unknown, void, undefined> {
    try {
      yield* thread.call(method, { key, ...args }, options);
    } catch (error) {
      // The thread may already have ended when the model is closed.
      throw closing === undefined || thread.isAlive() ? error : closedError(method, error);
    }
  }
  const call: Call = (method, args, options) => {
    if (closing !== undefined) throw closedError(method);
    return events(method, args, options);
  };
  return {
    model: {
      ...{ config, parameters, tokenizer, chatTemplate, endTokens, adapters },
      backend: { name: backend, capabilities },
      get adapter() {
        return adapter;
      },
      useAdapter: async (name) => {
        checkAdapterName("useAdapter", name, adapters);
        // Calls arrive in order, so all later calls use this adapter.
        adapter = name;
        await one<void>(call("useAdapter", { name }));
      },
      generate: (settings = {}) => {
        checkKeys("generate", settings, generateOptionNames);
        const { signal, ...options } = settings;
        checkSignal("generate: signal", signal);
        checkCloneable("generate: options", options);
        return flat(call("generate", { options }, { signal }) as AsyncGenerator<readonly GenerateEvent[]>);
      },
      openEngine: async (given = {}) => {
        const engine = await one<number>(call("openEngine", { sizes: parseEngineOptions(given) }));
        return engineIn(engine, call);
      },
      generateMany: (prompts, settings = {}) => {
        if (!Array.isArray(prompts)) {
          throw new ConfigError({
            where: "generateMany: prompts",
            must: "must be a list of prompts",
            got: show(prompts),
          });
        }
        checkOptions("generateMany: options", settings);
        const { signal, ...options } = settings;
        checkSignal("generateMany: signal", signal);
        const request: ManyRequest = { prompts, options };
        checkCloneable("generateMany", request);
        return call("generateMany", request, { signal }) as AsyncGenerator<ManyText, void, undefined>;
      },
      beamSearch: async ({ signal, ...options } = {}) => {
        checkSignal("beamSearch: signal", signal);
        checkCloneable("beamSearch: options", options);
        return one<readonly BeamText[]>(call("beamSearch", { options }, { signal }));
      },
      evaluateChoices: async (questions, { signal, onProgress } = {}) => {
        checkSignal("evaluateChoices: signal", signal);
        checkCallback("evaluateChoices: onProgress", onProgress);
        checkCloneable("evaluateChoices", { questions });
        const callbacks = { onProgress: async (done: number, all: number) => onProgress?.(done, all) };
        return one<ChoicesEvaluation>(call("evaluateChoices", { questions }, { signal, callbacks }));
      },
      score: async (text, settings = {}) => {
        checkScoreOptions(settings);
        if (typeof text !== "string") checkIdList("score: ids", text);
        const { signal, ...options } = settings;
        const request: ScoreRequest = { text: typeof text === "string" ? text : Float64Array.from(text), options };
        return one<Score>(call("score", request, { signal }));
      },
      ...callsInside(async (method, args, options) => one<unknown>(call(method, args, options))),
      close: () => {
        // If the thread has ended, the model no longer exists, so errors do not matter.
        closing ??= one<void>(thread.call("close", { key }))
          .catch(() => {})
          .finally(() => thread.release());
        return closing;
      },
    },
    evaluate: async (given, { split = "val", unknown = "error", contextLength, windows, signal, onProgress }) => {
      checkSignal("evaluate: signal", signal);
      checkCallback("evaluate: onProgress", onProgress);
      checkBoolean("evaluate: windows", windows);
      const callbacks = { onProgress: (done: number, all: number) => onProgress?.(done, all) };
      const corpus = sentCorpus(given);
      return one(call("evaluate", { corpus, split, unknown, contextLength, windows }, { signal, callbacks }));
    },
  };
};
