/** Tokens that a model wrote. Each position has a list of the likeliest candidates. */
import type { TokenEvent } from "../../src/generate/events.ts";
import type { Candidate } from "../../src/pretrained/model/likeliest.ts";

/** Number of candidates requested at each position. */
export const candidatesShown = 10;

export interface WrittenToken {
  readonly id: number;
  readonly text: string;
  readonly probability: number | undefined;
  readonly candidates: readonly Candidate[];
  /** Whether the reader chose this token instead of the token that was drawn. */
  readonly isChosen: boolean;
  /** Whether the model ended the text with this token. */
  readonly isEnd?: boolean;
}

export const writtenToken = ({ id, text, probability, candidates = [] }: TokenEvent): WrittenToken => ({
  ...{ id, text, probability, candidates },
  isChosen: false,
});

/**
 * Marks the last token as the end of the text if this token has no text. A completed form ends without such a token.
 */
export const markEnd = (tokens: WrittenToken[]): void => {
  const last = tokens.at(-1);
  if (last?.text === "") tokens[tokens.length - 1] = { ...last, isEnd: true };
};
