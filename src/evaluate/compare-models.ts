/** Measures how much two versions of a model differ in their logits and greedy tokens. */

import {
  checkCallback,
  checkChatTemplate,
  checkKeys,
  checkLanguageModel,
  checkSignal,
  checkWhole,
} from "../core/checks/check-arguments.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { yieldToHost } from "../core/system/yield.ts";
import { show } from "../core/text/show.ts";
import { generate } from "../generate/generate.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { withBegin } from "../tokenizer/begin.ts";
import { compareText, idsOrNull, type TextDifference, type TextTaker } from "./compare-text.ts";

/** Options of `compareModels`. */
export interface CompareModelsOptions {
  /** Texts or lists of token ids: at least one. The first model continues each prompt. */
  readonly prompts: readonly (string | readonly number[])[];
  /**
   * Maximum number of tokens to generate after each prompt. Prompt and tokens must fit into both contexts. Whole number
   * from 1. Default 50.
   */
  readonly maxNewTokens?: number | undefined;
  /** Abort it to stop. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each prompt with the number of finished prompts. The comparison waits for a returned promise. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** A position at which two models choose different greedy tokens. */
export interface GreedyDifference {
  /** Index of the prompt, from 0. */
  readonly prompt: number;
  /** Number of equal tokens between the prompt and this position. */
  readonly index: number;
  /** The first model's token. */
  readonly id: number;
  /** The other's. */
  readonly otherId: number;
  /**
   * Difference between the first model's two largest logits at this position. If the difference is small, the two
   * tokens are nearly equally likely.
   */
  readonly margin: number;
  /** Difference between the other model's two largest logits at this position. */
  readonly otherMargin: number;
}

/** How much two models differ. */
export interface ModelsDifference {
  /**
   * Largest absolute difference between the logits of the two models. The difference covers the whole vocabulary and
   * all positions of prompts and continuations.
   */
  readonly largestLogit: number;
  /** Number of prompts. */
  readonly prompts: number;
  /** Number of prompts with the same ids in both models. */
  readonly sameIds: number;
  /** Number of prompts with the same greedy tokens in both models. */
  readonly sameTokens: number;
  /** The first difference for each prompt with different greedy tokens, in the order of the prompts. */
  readonly differences: readonly GreedyDifference[];
  /** First difference between tokenizers, ids that end a text, or chat templates. Null if they are equal. */
  readonly textDifference: TextDifference | null;
}

/** Another version of a model: a source of logits, and a tokenizer. */
export interface ComparedForm extends TextTaker, Pick<LanguageModel, "logits"> {
  /** Number of tokens in the vocabulary. */
  readonly vocabSize: number;
  /** Maximum number of tokens of a text. */
  readonly contextLength: number;
}

/** The token with the largest logit of a row, and the difference to the second largest logit. */
interface Best {
  readonly id: number;
  readonly margin: number;
}

const bestOf = (logits: Float32Array, row: number, width: number): Best => {
  let [id, first, second] = [0, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < width; i++) {
    const value = logits[row * width + i] as number;
    if (value > first) [id, first, second] = [i, value, first];
    else if (value > second) second = value;
  }
  return { id, margin: first - second };
};

/** Appends greedy tokens to `ids` until the model ends the text, and returns the result. */
const continued = async (
  lm: LanguageModel,
  ids: readonly number[],
  maxNewTokens: number,
  signal: AbortSignal | undefined,
): Promise<readonly number[]> => {
  const all = [...ids];
  if (lm.tokenizer.kind !== "none") {
    const options = { prompt: ids, maxNewTokens, temperature: 0, signal };
    for await (const event of generate(lm, options)) {
      if (event.type === "token") all.push(event.id);
      await yieldToHost();
    }
    return all;
  }
  for (let i = 0; i < maxNewTokens; i++) {
    await yieldToHost();
    signal?.throwIfAborted();
    const { data, shape } = await lm.logits(all);
    const { id } = bestOf(data, all.length - 1, shape[1]);
    all.push(id);
    if (lm.endTokens.includes(id)) break;
  }
  return all;
};

/** Compares the models on one prompt. */
const comparePrompt = async (
  [one, other]: readonly [LanguageModel, ComparedForm],
  prompt: readonly number[],
  maxNewTokens: number,
  signal: AbortSignal | undefined,
): Promise<{ readonly largest: number; readonly difference: Omit<GreedyDifference, "prompt"> | undefined }> => {
  const ids = await continued(one, prompt, maxNewTokens, signal);
  signal?.throwIfAborted();
  const first = await one.logits(ids);
  await yieldToHost();
  signal?.throwIfAborted();
  const second = await other.logits(ids);
  const width = first.shape[1];
  let largest = 0;
  // The result is NaN if a logit is NaN. Otherwise a damaged logit could look like a small difference.
  for (let i = 0; i < first.data.length; i++) {
    largest = Math.max(largest, Math.abs((first.data[i] as number) - (second.data[i] as number)));
  }
  for (let row = prompt.length - 1; row < ids.length - 1; row++) {
    const [ours, theirs] = [bestOf(first.data, row, width), bestOf(second.data, row, width)];
    if (ours.id === theirs.id) continue;
    const { id, margin } = ours;
    const index = row - prompt.length + 1;
    return { largest, difference: { index, id, otherId: theirs.id, margin, otherMargin: theirs.margin } };
  }
  return { largest, difference: undefined };
};

/** Token ids of a prompt. @throws ConfigError for a value that is not a prompt. */
const idsOf = (lm: LanguageModel, prompt: unknown, place: number): readonly number[] => {
  const where = `compareModels: prompts[${place}]`;
  const ids = typeof prompt === "string" ? [...withBegin(lm.tokenizer, lm.tokenizer.encode(prompt))] : prompt;
  const isList = Array.isArray(ids) && ids.every((id) => Number.isInteger(id) && id >= 0 && id < lm.model.vocabSize);
  if (isList && ids.length > 0) return ids as readonly number[];
  const must = "must be a text or a list of token ids, with at least one token";
  throw new ConfigError({ where, must, got: show(prompt) });
};

/** Whether `ids` are the ids of `text` with the tokenizer of `lm`. */
const readsAs = (lm: TextTaker, text: string, ids: readonly number[]): boolean => {
  const found = idsOrNull(lm, text);
  const own = found === null ? null : withBegin(lm.tokenizer, found);
  return own?.length === ids.length && ids.every((id, i) => id === own[i]);
};

/**
 * Like `compareModels`, for a model and any other version of this model. The caller must check the arguments.
 * @throws ConfigError for different vocabularies, or for a prompt that fills a context.
 */
export const compareForms = async (
  one: LanguageModel,
  other: ComparedForm,
  { prompts, maxNewTokens = 50, signal, onProgress }: CompareModelsOptions,
): Promise<ModelsDifference> => {
  const where = "compareModels";
  const vocabularies = [one.model.vocabSize, other.vocabSize];
  if (vocabularies[0] !== vocabularies[1]) {
    const must = "both models must have the same tokens";
    throw new ConfigError({ where, must, got: `vocabularies of ${vocabularies.join(" and ")}` });
  }
  const context = Math.min(one.model.config.contextLength, other.contextLength);
  const encoded = prompts.map((prompt: unknown, i) => idsOf(one, prompt, i));
  const long = encoded.findIndex((ids) => ids.length >= context);
  if (long !== -1) {
    throw new ConfigError({
      where: `${where}: prompts[${long}]`,
      must: `must be shorter than the context of ${context} tokens`,
      got: `${encoded[long]?.length} tokens`,
    });
  }
  const textDifference = compareText([one, other], prompts);
  let [largestLogit, sameIds] = [0, 0];
  const differences: GreedyDifference[] = [];
  for (const [prompt, ids] of encoded.entries()) {
    signal?.throwIfAborted();
    const text: unknown = prompts[prompt];
    if (typeof text !== "string" || readsAs(other, text, ids)) sameIds++;
    const room = Math.min(maxNewTokens, context - ids.length);
    const { largest, difference } = await comparePrompt([one, other], ids, room, signal);
    largestLogit = Math.max(largestLogit, largest);
    if (difference !== undefined) differences.push({ prompt, ...difference });
    await onProgress?.(prompt + 1);
  }
  const count = encoded.length;
  return { largestLogit, prompts: count, sameIds, sameTokens: count - differences.length, differences, textDifference };
};

/**
 * Compares a model with another version of it, such as the same weights in fewer bits. The first model continues each
 * prompt greedily. Then both models compute the logits of prompt and continuation. So they always see the same tokens.
 * Chat templates and tokenizers are compared too. For tokenizers, this means the token of each id, the merges, the ids
 * of the prompts, and the ids that end a text.
 * @param one the model.
 * @param other the other version, with a vocabulary of equal size.
 * @throws ConfigError for models with different vocabularies, a prompt that fills a context, or a closed model;
 * DataError for a character of a prompt that the first model lacks.
 * @example
 * ```ts
 * import { compareModels, loadPretrained } from "foretoken";
 *
 * const [one, other] = [await loadPretrained("runs/notes/best"), await loadPretrained("notes-q8_0.gguf")];
 * const { largestLogit, sameTokens, textDifference } = await compareModels(one, other, { prompts: ["The ", "The end"]
 * });
 * console.log(largestLogit, sameTokens, textDifference?.kind ?? "same tokenizer");
 * await one.close();
 * await other.close();
 * ```
 */
export const compareModels = async (
  one: LanguageModel,
  other: LanguageModel,
  options: CompareModelsOptions,
): Promise<ModelsDifference> => {
  const where = "compareModels";
  checkLanguageModel(`${where}: one`, one, "a model from loadPretrained");
  checkLanguageModel(`${where}: other`, other, "a model from loadPretrained");
  for (const [name, { chatTemplate }] of Object.entries({ one, other })) {
    checkChatTemplate(`${where}: ${name}.chatTemplate`, chatTemplate);
  }
  checkKeys(where, options, ["prompts", "maxNewTokens", "signal", "onProgress"]);
  const { prompts, maxNewTokens = 50, signal, onProgress } = options;
  checkWhole(`${where}: maxNewTokens`, maxNewTokens, 1);
  checkSignal(`${where}: signal`, signal);
  checkCallback(`${where}: onProgress`, onProgress);
  if (!Array.isArray(prompts) || prompts.length === 0) {
    throw new ConfigError({
      where: `${where}: prompts`,
      must: "must be a list of at least one prompt",
      got: show(prompts),
    });
  }
  const { model, tokenizer, endTokens, chatTemplate } = other;
  const form: ComparedForm = {
    ...{ tokenizer, endTokens, chatTemplate, vocabSize: model.vocabSize, contextLength: model.config.contextLength },
    logits: (ids) => other.logits(ids),
  };
  return compareForms(one, form, { prompts, maxNewTokens, signal, onProgress });
};
