/** Reads texts and tokens for the functions of this folder, and names tokens. */

import { checkIdList } from "../core/checks/check-arguments.ts";
import { DataError, type ErrorDetails, ShapeError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { withBegin } from "../tokenizer/begin.ts";
import { textAlone } from "../tokenizer/token-text.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** Hint for an invalid model. */
export const modelHint = "a model from loadPretrained";

/**
 * A token, with a text that a program can show.
 * @experimental
 */
export interface NamedToken {
  /** From 0 to vocabSize − 1. */
  readonly id: number;
  /**
   * Text of the token. For a special token, it is the token's name. For a part of a character, it is bytes such as
   * `<e2><80>`. If the model has no tokenizer, the text is made from the id, for example `<17>`.
   */
  readonly text: string;
}

/** The tokenizer of the model. If the model has no tokenizer, a tokenizer that writes ids as names. */
export const namesOf = (tokenizer: Tokenizer): Tokenizer =>
  tokenizer.kind === "none" ? { ...tokenizer, token: (id) => `<${id}>`, bytes: () => new Uint8Array() } : tokenizer;

/** @param names result of `namesOf`. */
export const namedToken = (names: Tokenizer, id: number): NamedToken => ({
  id,
  text: textAlone(names.token(id), names.bytes(id)),
});

/** How errors name an argument of a function. */
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
 * Token ids of a text for one pass. If the tokenizer adds a BOS token, it comes first.
 * @param at names the argument in errors.
 * @throws ShapeError for more tokens than the context has, or an invalid id.
 * @throws DataError for no tokens, or a character that the tokenizer lacks.
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
  if (ids.length === 0) throw new DataError({ ...at, must: "there must be at least one token", got: "none" });
  if (ids.length > contextLength) {
    const must = `there must be at most ${contextLength} tokens (the context length)`;
    throw new ShapeError({ ...at, must, got: `${ids.length}` });
  }
  // An embedding may have more rows than the tokenizer has tokens.
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
