/** Tokens and positions in words. They are counted from 1. */

import type { NamedToken } from "../../src/inside/tokens.ts";
import type { Span } from "../../src/serve/studio/inside/protocol.ts";
import type { Failure } from "../../src/serve/studio/protocol.ts";
import { visible } from "../tokens/surprise.ts";

export const isOne = ({ from, to }: Span): boolean => to === from + 1;

type Tokens = readonly NamedToken[];

export const tokenAt = (tokens: Tokens, at: number): string => visible(tokens[at]?.text ?? "");

/** The token to begin with: the last one that looks like a word of some meaning, by its length; else the first. */
export const openingToken = (tokens: Tokens): NamedToken | undefined =>
  tokens.findLast(({ text }) => /\p{L}{4}/u.test(text)) ?? tokens[0];

/** A few characters: a token may be long. */
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

/** Why a token that was typed has no neighbours, in a sentence. */
export const neighbourFailure = ({ error, characters }: Failure): string => {
  if (characters !== undefined) return `The model never saw this in its text: ${characters.map(visible).join(" ")}`;
  const tokens = /^token: .*; got (\d+) tokens$/u.exec(error)?.[1];
  return tokens === undefined ? error : `That is ${tokens} tokens: type one.`;
};

type Listed = readonly { readonly key: string; readonly name: string }[];

/** The name of a model by its key; all checkpoints of a run share one. A model that is not in the list has its key. */
export const modelName = (all: Listed, key: string): string => all.find((model) => model.key === key)?.name ?? key;

/** Whether two keys are of one model, or of checkpoints of one run. */
export const isSameModel = (all: Listed, a: string, b: string): boolean =>
  a === b || modelName(all, a) === modelName(all, b);
