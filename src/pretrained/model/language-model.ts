import { inferenceContext, withContext } from "../../autograd/context.ts";
import { readTensor } from "../../autograd/tensor.ts";
import {
  checkChatTemplate,
  checkEndTokens,
  checkFunction,
  checkIdList,
  checkKeys,
  checkModel,
  checkTokenizer,
} from "../../core/checks/check-arguments.ts";
import { forward } from "../../models/forward.ts";
import type { Model } from "../../models/model.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { checkAdaptedModels, checkAdapterName } from "../adapter/check.ts";
import { markClosed, whileOpen } from "./closed.ts";
import type { Score } from "./score.ts";
import type { ScoreOptions } from "./score-options.ts";

/** Logits of every position. `data[t · V + v]` is the unnormalised log-probability that token v follows position t. */
export interface Logits {
  /** [T · V], row by row. */
  readonly data: Float32Array;
  /** [T, V] */
  readonly shape: readonly [time: number, vocabSize: number];
}

/** Text format of the conversations that a model was trained on. */
export interface ChatTemplate {
  /** A Jinja template, as in `tokenizer_config.json` and GGUF files. */
  readonly template: string;
  /** Name of the token that begins a text, or "" if there is no such token. */
  readonly bosToken: string;
  /** Name of the token that ends a text, or "" if there is no such token. */
  readonly eosToken: string;
}

/** A model with its tokenizer. It takes and returns text. */
export interface LanguageModel {
  /** The transformer with its weights and the adapter in use. */
  readonly model: Model;
  /** Converts text to token ids and back. */
  readonly tokenizer: Tokenizer;
  /** Chat template; null if the model was not trained on conversations. */
  readonly chatTemplate: ChatTemplate | null;
  /**
   * All tokens that end a text and stop generation: the tokenizer's end-of-text token, and the end tokens that the
   * checkpoint names.
   */
  readonly endTokens: readonly number[];
  /** Names of the loaded LoRA adapters. */
  readonly adapters: readonly string[];
  /** Name of the adapter in use; null if the model computes without an adapter. */
  readonly adapter: string | null;
  /**
   * Switches to another loaded adapter, or turns adapters off. Work that has already started keeps its adapter.
   * @param name one of `adapters`, or null for no adapter.
   * @throws ConfigError for another name.
   */
  useAdapter(name: string | null): void;
  /**
   * Returns the model with the given adapter, or without an adapter. The result does not depend on the adapter that is
   * in use.
   * @experimental
   * @param name one of `adapters`, or null for no adapter.
   */
  adapted(name: string | null): Model;
  /**
   * Computes one forward pass over `ids` [T]; T is 1 to the context length. Position t sees only ids[0..t].
   * @throws ShapeError for too many ids, or an id that is not an integer or is outside the vocabulary.
   * @throws ConfigError after `close`.
   */
  logits(ids: ArrayLike<number>): Promise<Logits>;
  /**
   * Computes the log-probability, in nats, of each token of a text after the first token. If the tokenizer has a BOS
   * token, the first token gets a log-probability too. Probabilities are computed from the logits in double precision.
   * The text is divided into windows. By default, windows do not overlap, as in `evaluate`. With `stride`, windows
   * begin `stride` tokens apart. The mean is minus the loss of `evaluate`, except that `evaluate` rounds its sums to
   * float32.
   * @param text a text or token ids, at least two tokens including BOS. The text may be longer than the context.
   * @throws DataError for a character that the tokenizer lacks, or if no token can be predicted.
   * @throws ShapeError for an id outside the vocabulary.
   * @throws ConfigError for invalid options, log-probabilities that are not finite, or after `close`.
   */
  score(text: string | ArrayLike<number>, options?: ScoreOptions): Promise<Score>;
  /**
   * Frees the model. Also closes the backend if `loadPretrained` opened it. Work that still uses the model fails. A
   * second call does nothing.
   */
  close(): Promise<void>;
}

/**
 * Facts about a model, in addition to its configuration and tokenizer.
 * @experimental
 */
export interface LanguageModelFacts {
  /** Chat template. Default: null. */
  readonly chatTemplate?: ChatTemplate | null | undefined;
  /** Tokens that end a text, in addition to the tokenizer's end-of-text token. Default: none. */
  readonly endTokens?: readonly number[] | undefined;
  /** Models that `loraModel` made from this model, by adapter name. The first adapter is in use. Default: none. */
  readonly adapters?: Readonly<Record<string, Model>> | undefined;
}

/**
 * Combines a model and its tokenizer. `onClose` is called once, after the weights are freed.
 * @experimental
 * @param facts chat template, end tokens and adapters, if any. The adapters are closed with the model.
 */
export const languageModel = (
  model: Model,
  tokenizer: Tokenizer,
  onClose: () => Promise<void> = async () => {},
  facts: LanguageModelFacts = {},
): LanguageModel => {
  checkModel("languageModel: model", model);
  checkTokenizer("languageModel: tokenizer", tokenizer);
  checkFunction("languageModel: onClose", onClose);
  checkKeys("languageModel", facts, ["chatTemplate", "endTokens", "adapters"]);
  const { chatTemplate = null, endTokens = [], adapters = {} } = facts;
  checkChatTemplate("languageModel: chatTemplate", chatTemplate);
  checkEndTokens("languageModel: endTokens", endTokens);
  checkAdaptedModels(adapters, model);
  const adapted = new Map(Object.entries(adapters));
  let [adapter = null] = adapted.keys();
  const current = (): Model => (adapter === null ? undefined : adapted.get(adapter)) ?? model;
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    const models = [...adapted.values(), model];
    models.forEach(markClosed);
    try {
      for (const one of models) one.close();
    } finally {
      await onClose();
    }
  };
  return {
    get model() {
      return current();
    },
    tokenizer,
    chatTemplate,
    adapters: [...adapted.keys()],
    get adapter() {
      return adapter;
    },
    useAdapter(name) {
      checkAdapterName("useAdapter", name, [...adapted.keys()]);
      adapter = name;
    },
    adapted: (name) => (name === null ? undefined : adapted.get(name)) ?? model,
    endTokens: [...new Set([...(tokenizer.endOfText === null ? [] : [tokenizer.endOfText]), ...endTokens])],
    logits: (ids) =>
      whileOpen("logits", model, () =>
        withContext(inferenceContext(model.backend), async (context) => {
          checkIdList("logits: ids", ids);
          const data = await readTensor(model.backend, forward(context, current(), ids, 1, ids.length));
          return { data: Float32Array.from(data), shape: [ids.length, model.vocabSize] as const };
        }),
      ),
    score: async (text, options) => {
      const now = current();
      // The module is imported only here, because texts are generated without it.
      const { score } = await import("./score.ts");
      return score(now, tokenizer, text, options);
    },
    close: () => {
      closing ??= close();
      return closing;
    },
  };
};
