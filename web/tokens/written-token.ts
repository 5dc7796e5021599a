/** Tokens that a model writes, with the likeliest others at their places. */
import type { TokenEvent } from "../../src/generate/events.ts";
import type { Candidate } from "../../src/pretrained/model/likeliest.ts";

/** So many of the likeliest tokens are asked for at each place. */
export const candidatesShown = 10;

export interface WrittenToken {
  readonly id: number;
  readonly text: string;
  readonly probability: number | undefined;
  readonly candidates: readonly Candidate[];
  /** Put there by the reader, in place of the drawn one. */
  readonly isChosen: boolean;
  /** The model ended the text with it. */
  readonly isEnd?: boolean;
}

export const writtenToken = ({ id, text, probability, candidates = [] }: TokenEvent): WrittenToken => ({
  ...{ id, text, probability, candidates },
  isChosen: false,
});

/** Marks the last of the tokens as the one that ended the text, unless it is text: after a form that is complete nothing follows. */
export const markEnd = (tokens: WrittenToken[]): void => {
  const last = tokens.at(-1);
  if (last?.text === "") tokens[tokens.length - 1] = { ...last, isEnd: true };
};
