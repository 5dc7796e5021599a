/** Methods of a thread that loads models, generates with them and evaluates them. */
import type { BackendName, Capabilities } from "../backend/backend.ts";
import type { CallContext } from "../core/remote/server.ts";
import type { ChoiceQuestion, ChoicesEvaluation, evaluateChoices } from "../evaluate/choices.ts";
import type { Evaluation } from "../evaluate/evaluate.ts";
import type { evaluateCorpus, MeasuredCorpus, SplitName } from "../evaluate/evaluate-corpus.ts";
import type { BeamSearchOptions, BeamText } from "../generate/beam-search.ts";
import type { EngineGenerateOptions } from "../generate/engine-options.ts";
import { engineDefaults } from "../generate/engine-options.ts";
import type { GenerateEvent } from "../generate/events.ts";
import { generate } from "../generate/generate.ts";
import { type GenerateManyOptions, generateMany, type ManyPrompt, type ManyText } from "../generate/generate-many.ts";
import type { GenerateOptions } from "../generate/options.ts";
import type { Speculate } from "../generate/speculation/speculate.ts";
import { createTextEngine, type TextEngine } from "../generate/text-engine.ts";
import { type HeadPlace, withoutHeads } from "../inside/heads.ts";
import type { ModelConfig } from "../models/config.ts";
import { closedError } from "../pretrained/model/closed.ts";
import type { ChatTemplate, LanguageModel } from "../pretrained/model/language-model.ts";
import type { Score } from "../pretrained/model/score.ts";
import type { ScoreOptions } from "../pretrained/model/score-options.ts";
import type { UnknownChoice } from "../tokenizer/unknown.ts";
import { engineMethods, mostAhead, type OpenedEngines, openedEngines } from "./engine-methods.ts";
import type { InsideRequest } from "./model-inside.ts";

/** Facts about a loaded model, sent to the calling thread. */
export interface LoadedModel {
  readonly key: number;
  readonly config: ModelConfig;
  readonly parameters: number;
  /** Number of token ids. */
  readonly vocabSize: number;
  readonly chatTemplate: ChatTemplate | null;
  readonly endTokens: readonly number[];
  /** Names of the model's adapters, and the name of the adapter in use. */
  readonly adapters: readonly string[];
  readonly adapter: string | null;
  readonly backend: BackendName;
  readonly capabilities: Capabilities;
}

/** Whether a prompt is an object of options. */
const isOptions = (prompt: ManyPrompt): prompt is EngineGenerateOptions =>
  typeof prompt === "object" && prompt !== null && !Array.isArray(prompt) && !(prompt instanceof Int32Array);

/** The model with its current adapter, also if the adapter is changed while a call imports its module. */
const asItIs = (lm: LanguageModel): LanguageModel => ({ ...lm });

/** Minimum milliseconds between two progress messages during loading. */
const progressEvery = 100;

/** A text to score, with the arguments of `score`. */
export interface ScoreRequest {
  readonly text: string | ArrayLike<number>;
  readonly options: Omit<ScoreOptions, "signal">;
}

/** Prompts of many texts, with the arguments of `generateMany`. */
export interface ManyRequest {
  readonly prompts: readonly ManyPrompt[];
  readonly options: Omit<GenerateManyOptions, "signal">;
}

/** Callbacks during loading. */
interface LoadingHooks {
  readonly onNotice: (line: string) => Promise<void>;
  readonly onProgress: (bytes: number, all: number) => void;
  readonly onOpened: (facts: Pick<LanguageModel, "tokenizer">) => void;
}

/** A loaded model, and its draft model. */
export interface LoadedHere {
  readonly lm: LanguageModel;
  readonly draft: LanguageModel | null;
}

/** The models of a thread, by key. */
const modelShelf = (opened: OpenedEngines) => {
  const models = new Map<number, LanguageModel>();
  /** Draft models that belong to other models. */
  const drafts = new Map<number, LanguageModel>();
  /** Heads that are switched off, for each model. */
  const headsOff = new Map<number, readonly HeadPlace[]>();
  /**
   * Engines of models that have generated text. An engine keeps the keys and values of a text's beginning for the next
   * text, as in a conversation.
   */
  const engines = new Map<number, TextEngine>();
  let loaded = 0;
  const wholeModelOf = (method: string, key: number): LanguageModel => {
    const lm = models.get(key);
    if (lm === undefined) throw closedError(method);
    return lm;
  };
  return {
    /** Stores a model and returns its key. */
    add({ lm, draft }: LoadedHere): number {
      const key = ++loaded;
      models.set(key, lm);
      if (draft !== null) drafts.set(key, draft);
      return key;
    },
    /** Adds the draft model to a text's options, if the options request it. */
    withDraft<Options extends { readonly speculate?: Speculate | undefined }>(key: number, options: Options): Options {
      const draft = options.speculate === "draft" ? drafts.get(key) : undefined;
      return draft === undefined ? options : { ...options, speculate: draft };
    },
    /** @throws ConfigError for a closed model. */
    wholeModelOf,
    /** The model with its current adapter and without its switched-off heads. */
    modelOf(method: string, key: number): LanguageModel {
      const lm = wholeModelOf(method, key);
      const off = headsOff.get(key);
      return off === undefined ? lm : withoutHeads(lm, off);
    },
    engineOf(method: string, key: number): TextEngine {
      const known = engines.get(key);
      if (known !== undefined) return known;
      const engine = createTextEngine(wholeModelOf(method, key).adapted(null), engineDefaults, mostAhead);
      engines.set(key, engine);
      return engine;
    },
    switchOff(key: number, heads: readonly HeadPlace[]): void {
      // All heads are checked before anything changes.
      withoutHeads(wholeModelOf("withoutHeads", key), heads);
      if (heads.length === 0) headsOff.delete(key);
      else headsOff.set(key, heads);
    },
    async close(key: number): Promise<void> {
      const lm = models.get(key);
      const draft = drafts.get(key);
      models.delete(key);
      drafts.delete(key);
      headsOff.delete(key);
      const engine = engines.get(key);
      engines.delete(key);
      // The model is closed first. Texts in progress then fail with the error of a closed model.
      const closingDraft = draft?.close();
      const closing = lm?.close();
      await engine?.close();
      await opened.closeOf(key);
      await closingDraft;
      await closing;
    },
  };
};

/** Reports the progress of loading to the calling thread. */
const tellLoading = (ask: CallContext["ask"]): LoadingHooks => {
  let told = performance.now();
  return {
    onNotice: (line) => ask("onNotice", line),
    onProgress(bytes, all) {
      if (performance.now() - told < progressEvery) return;
      told = performance.now();
      void ask("onProgress", bytes, all).catch(() => {});
    },
    // The calling thread makes its tokenizer while this thread reads the weights.
    onOpened({ tokenizer }) {
      if (tokenizer.kind !== "none") void ask("onTokenizer", tokenizer.toJSON()).catch(() => {});
    },
  };
};

/**
 * The methods of a thread with models.
 * @param loadModel loads a model.
 * @param loadEvaluate imports the evaluation code when it is needed.
 */
export const modelMethods = <Request>(
  loadModel: (request: Request, hooks: LoadingHooks) => Promise<LoadedHere>,
  loadEvaluate: () => Promise<{
    readonly evaluateCorpus: typeof evaluateCorpus;
    readonly evaluateChoices: typeof evaluateChoices;
  }>,
) => {
  const opened = openedEngines();
  const { add, withDraft, wholeModelOf, modelOf, engineOf, switchOff, close } = modelShelf(opened);
  return {
    async *load(request: Request, { ask }: CallContext): AsyncGenerator<LoadedModel, void> {
      const here = await loadModel(request, tellLoading(ask));
      const key = add(here);
      const { lm } = here;
      const { config, layout, backend, vocabSize } = lm.model;
      const { name, capabilities } = backend;
      const { endTokens, chatTemplate, adapters, adapter } = lm;
      const facts = { config, parameters: layout.count, vocabSize, endTokens, chatTemplate };
      yield { key, ...facts, adapters, adapter, backend: name, capabilities };
    },

    async *generate(
      { key, options }: { readonly key: number; readonly options: Omit<GenerateOptions, "signal"> },
      { signal }: CallContext,
    ): AsyncGenerator<readonly GenerateEvent[], void> {
      const lm = modelOf("generate", key);
      const { cache = true, ...cached } = withDraft(key, options);
      if (!cache) {
        for await (const event of generate(lm, { ...options, signal })) yield [event];
        return;
      }
      for await (const events of engineOf("generate", key).generateBatches(lm, { ...cached, signal })) {
        yield events.flatMap((event) => (event.type === "prompt" ? [] : [event]));
      }
    },

    ...engineMethods(opened, modelOf, withDraft),

    async *generateMany(
      { key, prompts, options }: { readonly key: number } & ManyRequest,
      { signal }: CallContext,
    ): AsyncGenerator<ManyText, void> {
      const given = prompts.map((one) => (isOptions(one) ? withDraft(key, one) : one));
      yield* generateMany(modelOf("generateMany", key), given, { ...withDraft(key, options), signal });
    },

    async *beamSearch(
      { key, options }: { readonly key: number; readonly options: Omit<BeamSearchOptions, "signal"> },
      { signal }: CallContext,
    ): AsyncGenerator<readonly BeamText[], void> {
      const lm = asItIs(modelOf("beamSearch", key));
      const { beamSearch } = await import("../generate/beam-search.ts");
      yield await beamSearch(lm, { ...options, signal });
    },

    async *evaluateChoices(
      { key, questions }: { readonly key: number; readonly questions: readonly ChoiceQuestion[] },
      { signal, ask }: CallContext,
    ): AsyncGenerator<ChoicesEvaluation, void> {
      const { evaluateChoices: choose } = await loadEvaluate();
      const onProgress = (done: number, all: number): void => void ask("onProgress", done, all).catch(() => {});
      yield await choose(modelOf("evaluateChoices", key), questions, { signal, onProgress });
    },

    async *evaluate(
      {
        key,
        corpus,
        split,
        unknown,
        contextLength,
        windows,
      }: {
        readonly key: number;
        readonly corpus: MeasuredCorpus;
        readonly split: SplitName;
        readonly unknown: UnknownChoice;
        readonly contextLength?: number | undefined;
        readonly windows?: boolean | undefined;
      },
      { signal, ask }: CallContext,
    ): AsyncGenerator<Evaluation, void> {
      const { evaluateCorpus: measure } = await loadEvaluate();
      const onProgress = (done: number, all: number): Promise<void> => ask("onProgress", done, all);
      yield await measure(modelOf("evaluate", key), corpus, {
        ...{ split, unknown, contextLength, windows, signal, onProgress },
      });
    },

    // biome-ignore lint/correctness/useYield: a call that yields nothing
    async *useAdapter({
      key,
      name,
    }: {
      readonly key: number;
      readonly name: string | null;
    }): AsyncGenerator<never, void> {
      wholeModelOf("useAdapter", key).useAdapter(name);
    },

    async *score(
      { key, text, options }: { readonly key: number } & ScoreRequest,
      { signal }: CallContext,
    ): AsyncGenerator<Score, void> {
      yield await modelOf("score", key).score(text, { ...options, signal });
    },

    async *inside(
      { key, request }: { readonly key: number; readonly request: InsideRequest },
      call: CallContext,
    ): AsyncGenerator<unknown, void> {
      const lm = asItIs(modelOf(request.method, key));
      const { answerInside } = await import("./answer-inside.ts");
      yield await answerInside(lm, request, call);
    },

    // biome-ignore lint/correctness/useYield: a call that yields nothing
    async *switchOff({
      key,
      heads,
    }: {
      readonly key: number;
      readonly heads: readonly HeadPlace[];
    }): AsyncGenerator<never, void> {
      switchOff(key, heads);
    },

    // biome-ignore lint/correctness/useYield: a call that yields nothing
    async *close({ key }: { readonly key: number }): AsyncGenerator<never, void> {
      await close(key);
    },
  };
};
