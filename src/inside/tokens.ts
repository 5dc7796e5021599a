/** Texts and tokens that the functions of this folder are given, and the names that they give tokens. */

import { checkIdList } from "../core/checks/check-arguments.ts";
import { DataError, type ErrorDetails, ShapeError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { withBegin } from "../tokenizer/begin.ts";
import { textAlone } from "../tokenizer/token-text.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** What to give in place of a model that is none. */
export const modelHint = "a model from loadPretrained";

/**
 * A token as it can be shown alone.
 * @experimental
 */
export interface NamedToken {
  /** From 0 to vocabSize − 1. */
  readonly id: number;
  /**
   * Its own text: the name of a special token; the bytes of one with a part of a character, as `<e2><80>`; `<17>` for id 17
   * of a model without a tokenizer.
   */
  readonly text: string;
}

/** The tokenizer, or names of ids in place of texts where a model came without one. */
export const namesOf = (tokenizer: Tokenizer): Tokenizer =>
  tokenizer.kind === "none" ? { ...tokenizer, token: (id) => `<${id}>`, bytes: () => new Uint8Array() } : tokenizer;

/** @param names of `namesOf`. */
export const namedToken = (names: Tokenizer, id: number): NamedToken => ({
  id,
  text: textAlone(names.token(id), names.bytes(id)),
});

/** An argument of a function, for errors. */
export type Argument = Required<Pick<ErrorDetails, "where" | "field">>;

export const argument = (called: string, field: string): Argument => ({
  where: `${called}: ${field}`,
  field,
});

/** @throws DataError for a character that the tokenizer lacks */
export const encodeArgument = (tokenizer: Tokenizer, text: string, { where, field }: Argument): Int32Array => {
  try {
    return tokenizer.encode(text, where);
  } catch (error) {
    throw error instanceof DataError ? new DataError({ ...error.details, field }) : error;
  }
};

/**
 * The ids of a text that one pass takes, after the token that texts begin with, if the tokenizer adds one.
 * @param at the argument that it is.
 * @throws ShapeError for more tokens than the context has, or an id that is none; DataError for no tokens, or a character
 *   that the tokenizer lacks.
 */
export const readIds = (
  at: Argument,
  { model, tokenizer }: Pick<LanguageModel, "model" | "tokenizer">,
  given: unknown,
): Int32Array => {
  if (typeof given !== "string") checkIdList(at.where, given);
  const ids =
    typeof given === "string"
      ? withBegin(tokenizer, encodeArgument(tokenizer, given, at))
      : (given as ArrayLike<number>);
  const { contextLength } = model.config;
  if (ids.length === 0) throw new DataError({ ...at, must: "there must be one token or more", got: "none" });
  if (ids.length > contextLength) {
    const must = `there must be at most ${contextLength} tokens (the context length)`;
    throw new ShapeError({ ...at, must, got: `${ids.length}` });
  }
  // An embedding may have more rows than there are tokens.
  const { vocabSize } = tokenizer;
  for (let i = 0; i < ids.length; i++) {
    const id: unknown = ids[i];
    if (Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocabSize) continue;
    throw new ShapeError({
      ...at,
      must: `token ids must be whole numbers in [0, ${vocabSize})`,
      got: `${show(id)} at position ${i}`,
    });
  }
  return Int32Array.from(ids);
};
