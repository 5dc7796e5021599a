/** Who guesses the next tokens of a text: the option `speculate`. */
import { checkLanguageModel } from "../../core/checks/check-arguments.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import type { Draft } from "../../engine/sequence.ts";
import type { LanguageModel } from "../../pretrained/model/language-model.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { createDraftModel, type DraftModel } from "./draft-model.ts";
import { ngramDraft } from "./ngram.ts";

/**
 * Who guesses the next tokens, which a pass then checks: `"ngram"` looks up the last tokens in the text itself; a model with the same
 * tokenizer, smaller than the one that writes, writes them in advance; `"draft"` is the model that `loadInWorker` was given for this, in Node;
 * false: nothing is guessed. The text is the same.
 */
export type Speculate = false | "ngram" | "draft" | LanguageModel;

/** Tokenizers that were found to be the same as others. */
const same = new WeakMap<Tokenizer, WeakSet<Tokenizer>>();

/** The first id that stands for something else; undefined: none does. */
const firstDifference = (a: Tokenizer, b: Tokenizer): number | undefined => {
  for (let id = 0; id < Math.min(a.vocabSize, b.vocabSize); id++) {
    const [ours, theirs] = [a.bytes(id), b.bytes(id)];
    if (ours.length !== theirs.length || a.token(id) !== b.token(id)) return id;
    if (ours.some((byte, i) => byte !== theirs[i])) return id;
  }
  return undefined;
};

/** @throws ConfigError unless the tokenizers are the same. */
export const checkDraftTokenizer = (where: string, writes: Tokenizer, guesses: Tokenizer): void => {
  if (writes === guesses || same.get(writes)?.has(guesses) === true) return;
  const must = "the model that guesses must have the tokenizer of the model that writes";
  const refuse = (got: string): never => {
    throw new ConfigError({ where, must, got });
  };
  if (writes.vocabSize !== guesses.vocabSize)
    refuse(`a vocabulary of ${guesses.vocabSize} tokens instead of ${writes.vocabSize}`);
  const id = firstDifference(writes, guesses);
  if (id !== undefined) refuse(`${show(guesses.token(id))} instead of ${show(writes.token(id))} for token ${id}`);
  same.set(writes, (same.get(writes) ?? new WeakSet()).add(guesses));
};

/** @throws ConfigError for a value that is none, or a model with another tokenizer. */
export const checkSpeculate = (value: unknown, lm: LanguageModel): void => {
  if (value === false || value === "ngram") return;
  const where = "generate: speculate";
  if (value === "draft") {
    const must = "the model must have been loaded in a worker with a model that guesses";
    throw new ConfigError({ where, must, got: "none", hint: "loadInWorker(path, { draft: smaller })" });
  }
  if (typeof value !== "object" || value === null)
    throw new ConfigError({ where, must: 'must be false, "ngram" or a language model', got: show(value) });
  checkLanguageModel(where, value, '"ngram"');
  checkDraftTokenizer(where, lm.tokenizer, (value as LanguageModel).tokenizer);
};

/** What is known of a text whose tokens are guessed. */
export interface GuessedText {
  /** As of `DraftModel`. */
  readonly ahead: () => (logits: Float32Array) => number;
  /** Tokens that a constraint leaves no choice about, at most so many. Absent: there is no constraint. */
  readonly forced?: ((most: number) => readonly number[]) | undefined;
}

/** Guesses of tokens that must follow, where there are any. */
const forcedFirst =
  (forced: (most: number) => readonly number[], others: Draft | undefined): Draft =>
  (ids, most) => {
    const known = forced(most);
    return known.length > 0 || others === undefined ? known : others(ids, most);
  };

/** Guesses for the texts of one engine. */
export interface Drafters {
  /** @returns undefined: nothing is guessed. */
  of(speculate: Speculate, text: GuessedText): Draft | undefined;
  close(): Promise<void>;
}

/** @param sizes of the engine. */
export const createDrafters = (sizes: { readonly cacheBytes: number; readonly maxSequences: number }): Drafters => {
  const models = new Map<LanguageModel, DraftModel>();
  const draftOf = (speculate: Speculate, ahead: GuessedText["ahead"]): Draft | undefined => {
    // "draft" stands for a model, which a thread has put in its place.
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
