/** The option `speculate`: how the next tokens of a text are guessed. */
import { checkLanguageModel } from "../../core/checks/check-arguments.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import type { Draft } from "../../engine/sequence.ts";
import type { LanguageModel } from "../../pretrained/model/language-model.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { createDraftModel, type DraftModel } from "./draft-model.ts";
import { ngramDraft } from "./ngram.ts";

/**
 * How the next tokens are guessed. A forward pass of the model checks the guesses, so this choice never changes the
 * text.
 * - `"ngram"` looks for the last tokens at an earlier place in the text itself.
 * - A model writes the guesses. The guessing model must have the same tokenizer as the model that writes the text, and
 *   should be smaller.
 * - `"draft"` is the model in the option `draft` of `loadInWorker`, in Node.
 * - `false`: nothing is guessed.
 */
export type Speculate = false | "ngram" | "draft" | LanguageModel;

/** Pairs of tokenizers that are known to be equal. */
const same = new WeakMap<Tokenizer, WeakSet<Tokenizer>>();

/** The first id with different tokens in the two tokenizers. Undefined if all tokens are equal. */
const firstDifference = (a: Tokenizer, b: Tokenizer): number | undefined => {
  for (let id = 0; id < Math.min(a.vocabSize, b.vocabSize); id++) {
    const [ours, theirs] = [a.bytes(id), b.bytes(id)];
    if (ours.length !== theirs.length || a.token(id) !== b.token(id)) return id;
    if (ours.some((byte, i) => byte !== theirs[i])) return id;
  }
  return undefined;
};

/** @throws ConfigError if the tokenizers differ. */
export const checkDraftTokenizer = (where: string, writes: Tokenizer, guesses: Tokenizer): void => {
  if (writes === guesses || same.get(writes)?.has(guesses) === true) return;
  const must = "the draft model must have the same tokenizer as the model";
  const refuse = (got: string): never => {
    throw new ConfigError({ where, must, got });
  };
  if (writes.vocabSize !== guesses.vocabSize)
    refuse(`a vocabulary of ${guesses.vocabSize} tokens instead of ${writes.vocabSize}`);
  const id = firstDifference(writes, guesses);
  if (id !== undefined) refuse(`${show(guesses.token(id))} instead of ${show(writes.token(id))} for token ${id}`);
  same.set(writes, (same.get(writes) ?? new WeakSet()).add(guesses));
};

/** @throws ConfigError for an unknown value, or a model with another tokenizer. */
export const checkSpeculate = (value: unknown, lm: LanguageModel): void => {
  if (value === false || value === "ngram") return;
  const where = "generate: speculate";
  if (value === "draft") {
    const must = "the model must have been loaded in a worker with a draft model";
    throw new ConfigError({ where, must, got: "none", hint: "loadInWorker(path, { draft: smaller })" });
  }
  if (typeof value !== "object" || value === null)
    throw new ConfigError({ where, must: 'must be false, "ngram" or a language model', got: show(value) });
  checkLanguageModel(where, value, '"ngram"');
  checkDraftTokenizer(where, lm.tokenizer, (value as LanguageModel).tokenizer);
};

/** The functions of a text that are needed for guessing. */
export interface GuessedText {
  /** See `ahead` of `DraftModel.draft`. */
  readonly ahead: () => (logits: Float32Array) => number;
  /** Tokens that must follow because of the constraint: at most `most`. Absent if there is no constraint. */
  readonly forced?: ((most: number) => readonly number[]) | undefined;
}

/** Guesses the tokens that must follow. If the constraint leaves a choice, it calls `others`. */
const forcedFirst =
  (forced: (most: number) => readonly number[], others: Draft | undefined): Draft =>
  (ids, most) => {
    const known = forced(most);
    return known.length > 0 || others === undefined ? known : others(ids, most);
  };

/** Guesses for the texts of one engine. */
export interface Drafters {
  /** @returns the functions that guess, or undefined if the option is false. */
  of(speculate: Speculate, text: GuessedText): Draft | undefined;
  close(): Promise<void>;
}

/** @param sizes sizes of the engine. */
export const createDrafters = (sizes: { readonly cacheBytes: number; readonly maxSequences: number }): Drafters => {
  const models = new Map<LanguageModel, DraftModel>();
  const draftOf = (speculate: Speculate, ahead: GuessedText["ahead"]): Draft | undefined => {
    // The worker has replaced "draft" by a model before this point.
    if (speculate === false || speculate === "draft") return undefined;
    if (speculate === "ngram") return ngramDraft();
    const model = models.get(speculate) ?? createDraftModel(speculate, sizes);
    models.set(speculate, model);
    return model.draft(ahead);
  };
  return {
    of(speculate, { ahead, forced }) {
      const draft = draftOf(speculate, ahead);
      return forced === undefined ? draft : forcedFirst(forced, draft);
    },
    async close() {
      for (const model of models.values()) await model.close();
    },
  };
};
