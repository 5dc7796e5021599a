/** Names of tokens and positions. Positions are counted from 1. */

import type { NamedToken } from "../../src/inside/tokens.ts";
import type { Span } from "../../src/serve/studio/inside/protocol.ts";
import type { Failure } from "../../src/serve/studio/protocol.ts";
import { visible } from "../tokens/surprise.ts";

export const isOne = ({ from, to }: Span): boolean => to === from + 1;

type Tokens = readonly NamedToken[];

export const tokenAt = (tokens: Tokens, at: number): string => visible(tokens[at]?.text ?? "");

/** Whether all tokens are single characters. */
export const areCharacters = (tokens: Tokens): boolean => tokens.every(({ text }) => [...text].length === 1);

/**
 * Token that is shown first: the last token that is long enough to look like a meaningful word. Among single characters,
 * a vowel, because vowels are often a clear group of their own. If there is no such token, the first token.
 */
export const openingToken = (tokens: Tokens): NamedToken | undefined =>
  tokens.findLast(({ text }) => /\p{L}{4}/u.test(text)) ??
  tokens.find(({ text }) => /^[aeio]$/.test(text)) ??
  tokens[0];

/** Cuts a text to a few characters, because a token may be long. */
export const clipped = (text: string, most = 10): string => {
  const characters = [...text];
  return characters.length > most ? `${characters.slice(0, most - 1).join("")}…` : text;
};

/** As "5 cat", or "9–16" for several. */
export const spanName = (tokens: Tokens, span: Span): string =>
  isOne(span) ? `${span.from + 1} ${tokenAt(tokens, span.from)}` : `${span.from + 1}–${span.to}`;

/** As `“cat” (5)`, or `tokens 9–16`. */
export const spanWords = (tokens: Tokens, span: Span): string =>
  isOne(span) ? `“${tokenAt(tokens, span.from)}” (${span.from + 1})` : `tokens ${span.from + 1}–${span.to}`;

/** Says in a sentence why a typed token has no neighbours. */
export const neighbourFailure = ({ error, characters }: Failure): string => {
  if (characters !== undefined) return `Characters that the model never saw: ${characters.map(visible).join(" ")}`;
  const tokens = /^token: .*; got (\d+) tokens$/u.exec(error)?.[1];
  return tokens === undefined ? error : `That is ${tokens} tokens. Type one token.`;
};

type Listed = readonly { readonly key: string; readonly name: string }[];

/**
 * Name of a model by its key. All checkpoints of a run share one name. A model that is not in the list is named by its
 * key.
 */
export const modelName = (all: Listed, key: string): string => all.find((model) => model.key === key)?.name ?? key;

/** Whether two keys belong to the same model, or to checkpoints of the same run. */
export const isSameModel = (all: Listed, a: string, b: string): boolean =>
  a === b || modelName(all, a) === modelName(all, b);
