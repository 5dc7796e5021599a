/** Methods of a thread that holds models: it loads them, generates with them and evaluates them. */
import type { BackendName, Capabilities } from "../backend/backend.ts";
import type { CallContext } from "../core/remote/server.ts";
import { type GenerateEvent, type GenerateOptions, generate } from "../generate/generate.ts";
import type { ModelConfig } from "../models/config.ts";
import { closedError } from "../pretrained/closed.ts";
import type { LanguageModel } from "../pretrained/language-model.ts";
import type { Evaluation } from "../train/measuring/evaluate.ts";
import type { evaluateCorpus, MeasuredCorpus, SplitName } from "../train/measuring/evaluate-corpus.ts";

/** Facts about a loaded model, for the calling thread. */
export interface LoadedModel {
  readonly key: number;
  readonly config: ModelConfig;
  readonly parameters: number;
  /** The contents of `tokenizer.json`. */
  readonly tokenizer: unknown;
  readonly backend: BackendName;
  readonly capabilities: Capabilities;
}

/**
 * The methods of a thread with models.
 * @param loadModel loads a model.
 * @param loadEvaluate called for the first evaluation.
 */
export const modelMethods = <Request>(
  loadModel: (request: Request, onNotice: (line: string) => Promise<void>) => Promise<LanguageModel>,
  loadEvaluate: () => Promise<typeof evaluateCorpus>,
) => {
  const models = new Map<number, LanguageModel>();
  let loaded = 0;

  const modelOf = (method: string, key: number): LanguageModel => {
    const lm = models.get(key);
    if (lm === undefined) throw closedError(method);
    return lm;
  };

  return {
    async *load(request: Request, { ask }: CallContext): AsyncGenerator<LoadedModel, void> {
      const lm = await loadModel(request, (line) => ask("onNotice", line));
      const key = ++loaded;
      models.set(key, lm);
      const { config, layout, backend } = lm.model;
      const { name, capabilities } = backend;
      const tokenizer = lm.tokenizer.toJSON();
      yield { key, config, parameters: layout.count, tokenizer, backend: name, capabilities };
    },

    async *generate(
      { key, options }: { readonly key: number; readonly options: Omit<GenerateOptions, "signal"> },
      { signal }: CallContext,
    ): AsyncGenerator<GenerateEvent, void> {
      yield* generate(modelOf("generate", key), { ...options, signal });
    },

    async *evaluate(
      { key, corpus, split }: { readonly key: number; readonly corpus: MeasuredCorpus; readonly split: SplitName },
      { signal, ask }: CallContext,
    ): AsyncGenerator<Evaluation, void> {
      const measure = await loadEvaluate();
      const onProgress = (done: number, all: number): Promise<void> => ask("onProgress", done, all);
      yield await measure(modelOf("evaluate", key), corpus, { split, signal, onProgress });
    },

    // biome-ignore lint/correctness/useYield: a call that yields nothing
    async *close({ key }: { readonly key: number }): AsyncGenerator<never, void> {
      const lm = models.get(key);
      models.delete(key);
      await lm?.close();
    },
  };
};
