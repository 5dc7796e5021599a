/** Probabilities of tokens before sampling: the softmax of all logits of the model, in double precision. */
import { textAlone } from "../../tokenizer/token-text.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";

/** A possible token at a position of a text. */
export interface Candidate {
  /** From 0 to vocabSize − 1. */
  readonly id: number;
  /**
   * Text of this token alone, for display. The text is the name of a special token, or bytes such as `<e2><80>` for a
   * part of a character. Do not concatenate these texts to get a text; use `tokenizer.decode`.
   */
  readonly text: string;
  /** Softmax of all logits at temperature 1, from 0 to 1. */
  readonly probability: number;
  /** ln of `probability`, in nats; finite even if `probability` underflows to 0. */
  readonly logProb: number;
}

/** Maximum number of candidates. */
export const mostCandidates = 50;

/**
 * The highest logit and the sum of exponentials. All probabilities of a softmax follow from the highest logit and this
 * sum.
 */
export interface SoftmaxSum {
  readonly highest: number;
  /** Sum of e^(logit − highest). The sum is at least 1, or NaN if the logits give no probabilities. */
  readonly sum: number;
}

/** @param logits `count` logits, starting at index `from`. −∞ means that a token is impossible. */
export const softmaxSum = (logits: ArrayLike<number>, from: number, count: number): SoftmaxSum => {
  let highest = Number.NEGATIVE_INFINITY;
  for (let v = 0; v < count; v++) highest = Math.max(highest, logits[from + v] as number);
  let sum = 0;
  for (let v = 0; v < count; v++) sum += Math.exp((logits[from + v] as number) - highest);
  return { highest, sum };
};

/** Probability of the token at index `place` of the logits, and its ln. */
export const probabilityAt = (logits: ArrayLike<number>, place: number, { highest, sum }: SoftmaxSum) => {
  const above = (logits[place] as number) - highest;
  return { probability: Math.exp(above) / sum, logProb: above - Math.log(sum) };
};

/**
 * Returns the ids of the `most` highest logits among `count` logits from index `from`, in descending order of the
 * logits. Ids with equal logits are in ascending order.
 */
export const highestIds = (logits: ArrayLike<number>, from: number, count: number, most: number): readonly number[] => {
  const ids: number[] = [];
  const logitOf = (place: number): number => logits[from + (ids[place] as number)] as number;
  for (let id = 0; id < count; id++) {
    const logit = logits[from + id] as number;
    // For almost all tokens, the loop continues here. So a pass over a large vocabulary takes little time.
    if (ids.length === most && logit <= logitOf(most - 1)) continue;
    let place = ids.length === most ? most - 1 : ids.length;
    for (; place > 0 && logitOf(place - 1) < logit; place--) ids[place] = ids[place - 1] as number;
    ids[place] = id;
  }
  return ids;
};

/** Returns the most probable tokens at a position, from its logits. */
export type NameLikeliest = (logits: ArrayLike<number>, from: number, sum: SoftmaxSum) => readonly Candidate[];

/**
 * Makes a function that returns the most probable tokens.
 * @param most number of tokens to return. If the vocabulary is smaller, all tokens are returned.
 * @returns a function that returns tokens in descending order of probability. Tokens with equal probability are in the
 * order of their ids.
 */
export const likeliestOf = (tokenizer: Tokenizer, most: number): NameLikeliest => {
  /** The texts are cached, because the same few tokens appear very often. */
  const texts = new Map<number, string>();
  const textOf = (id: number): string => {
    const known = texts.get(id);
    if (known !== undefined) return known;
    const text = textAlone(tokenizer.token(id), tokenizer.bytes(id));
    texts.set(id, text);
    return text;
  };
  return (logits, from, sum) =>
    // Some rows of the embedding may have no token in the tokenizer. The function never returns their ids, but their
    // logits count in the sum, as in `score`.
    highestIds(logits, from, tokenizer.vocabSize, most).map((id) => ({
      id,
      text: textOf(id),
      ...probabilityAt(logits, from + id, sum),
    }));
};
