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
import { type Score, type ScoreOptions, score } from "./score.ts";

/** Logits of every position: `data[t · V + v]`, the unnormalised log-probability of token v after position t. */
export interface Logits {
  /** [T · V], row after row. */
  readonly data: Float32Array;
  /** [T, V] */
  readonly shape: readonly [time: number, vocabSize: number];
}

/** How a model wants a conversation to be written out. */
export interface ChatTemplate {
  /** A program in Jinja, as `tokenizer_config.json` and GGUF files have it. */
  readonly template: string;
  /** Name of the token that begins a text; "" if there is none. */
  readonly bosToken: string;
  /** Name of the token that ends a text; "" if there is none. */
  readonly eosToken: string;
}

/** A model with its tokenizer: text in, text out. */
export interface LanguageModel {
  /** The transformer with its weights, and the adapter in use. */
  readonly model: Model;
  /** Text to token ids and back. */
  readonly tokenizer: Tokenizer;
  /** How a conversation is written out; null: the model is not made for one. */
  readonly chatTemplate: ChatTemplate | null;
  /** Tokens that end a text, and generation: the tokenizer's end of text, and others that the checkpoint names. */
  readonly endTokens: readonly number[];
  /** Names of the LoRA adapters that it may use. */
  readonly adapters: readonly string[];
  /** The adapter in use; null: it computes with its own weights alone. */
  readonly adapter: string | null;
  /**
   * Takes another of its adapters into use, or none. Work that is under way goes on as it began.
   * @param name one of `adapters`, or null.
   * @throws ConfigError for another name.
   */
  useAdapter(name: string | null): void;
  /**
   * The model with one of its adapters, or with none, whichever is in use.
   * @experimental
   * @param name one of `adapters`, or null.
   */
  adapted(name: string | null): Model;
  /**
   * One forward pass over `ids` [T], T from 1 to the context length. Position t sees ids[0..t] only.
   * @throws ShapeError for an id that is no whole number or outside the vocabulary, or too many of them; ConfigError
   *   after `close`.
   */
  logits(ids: ArrayLike<number>): Promise<Logits>;
  /**
   * The log-probability of each token of a text after the first, in nats, computed from `logits` in double precision: of
   * windows that do not overlap, as `evaluate` takes them, or that begin `stride` tokens apart. Its mean is minus the loss
   * of `evaluate`, which rounds its sums to float32.
   * @param text a text, or its token ids: at least two tokens, of any number.
   * @throws DataError for a character that the tokenizer lacks or fewer than two tokens, ShapeError for an id outside the
   *   vocabulary, ConfigError for options that are none, log-probabilities that are not finite, or after `close`.
   */
  score(text: string | ArrayLike<number>, options?: ScoreOptions): Promise<Score>;
  /**
   * Frees the model, and its backend if `loadPretrained` opened it. Work on it that is under way fails. A second call does
   * nothing.
   */
  close(): Promise<void>;
}

/**
 * What a checkpoint says of a model besides its shape and its tokenizer.
 * @experimental
 */
export interface LanguageModelFacts {
  /** How a conversation is written out. Default null. */
  readonly chatTemplate?: ChatTemplate | null | undefined;
  /** Tokens that end a text besides the tokenizer's end of text. Default: none. */
  readonly endTokens?: readonly number[] | undefined;
  /** Models of `loraModel` over the model, by the names of their adapters. The first is in use. Default: none. */
  readonly adapters?: Readonly<Record<string, Model>> | undefined;
}

/**
 * Combines a model and its tokenizer; `onClose` runs once, after the weights are freed.
 * @experimental
 * @param facts the template of a conversation, tokens that end a text, and adapters, where there are any. The adapters are
 *   closed with the model.
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
    score: (text, options) => score(current(), tokenizer, text, options),
    close: () => {
      closing ??= close();
      return closing;
    },
  };
};
