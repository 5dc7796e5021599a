/** What a worker thread runs that holds models, and is asked to write with them and to measure them. */
import { ConfigError } from "../core/errors.ts";
import type { CallContext } from "../core/remote/server.ts";
import { serveThread } from "../core/remote/worker.node.ts";
import { type GenerateEvent, type GenerateOptions, generate } from "../generate/generate.ts";
import type { LanguageModel } from "../pretrained/language-model.ts";
import { loadPretrained } from "../pretrained/load.node.ts";
import type { Evaluation } from "../train/evaluate.ts";
import type { MeasuredCorpus, SplitName } from "../train/evaluate-corpus.ts";
import type { LoadedModel, LoadRequest } from "./messages.node.ts";

const models = new Map<number, LanguageModel>();
let loaded = 0;

const modelOf = (key: number): LanguageModel => {
  const lm = models.get(key);
  if (lm === undefined)
    throw new ConfigError({ where: "model", must: "the model must be open", got: "one that was closed" });
  return lm;
};

serveThread({
  async *load({ directory, ...options }: LoadRequest, { ask }: CallContext): AsyncGenerator<LoadedModel, void> {
    const lm = await loadPretrained(directory, { ...options, onNotice: (line) => ask("onNotice", line) });
    const key = ++loaded;
    models.set(key, lm);
    const { config, layout, backend } = lm.model;
    const { name, capabilities } = backend;
    const tokenizer = lm.tokenizer.toJSON();
    yield { key, config, parameters: layout.count, tokenizer, backend: name, capabilities };
  },

  generate: (
    { key, options }: { readonly key: number; readonly options: Omit<GenerateOptions, "signal"> },
    { signal }: CallContext,
  ): AsyncGenerator<GenerateEvent, void> => generate(modelOf(key), { ...options, signal }),

  async *evaluate(
    { key, corpus, split }: { readonly key: number; readonly corpus: MeasuredCorpus; readonly split: SplitName },
    { signal, tell }: CallContext,
  ): AsyncGenerator<Evaluation, void> {
    // Not before there is something to measure: a model that writes begins sooner without.
    const { evaluateCorpus } = await import("../train/evaluate-corpus.ts");
    const onProgress = (done: number, all: number): void => tell("onProgress", done, all);
    yield await evaluateCorpus(modelOf(key), corpus, { split, signal, onProgress });
  },

  // biome-ignore lint/correctness/useYield: a call that yields nothing
  async *close({ key }: { readonly key: number }): AsyncGenerator<never, void> {
    const lm = models.get(key);
    models.delete(key);
    await lm?.close();
  },
});
