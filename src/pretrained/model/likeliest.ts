/** Probabilities of tokens by the model itself, before any sampling: softmax of all logits, in double precision. */
import { textAlone } from "../../tokenizer/token-text.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";

/** A token that could come at a place of a text. */
export interface Candidate {
  /** From 0 to vocabSize − 1. */
  readonly id: number;
  /**
   * Its own text as it can be shown alone: the name of a special token; the bytes of one with a part of a character, as
   * `<e2><80>`. The texts of several do not add up to a text: use `tokenizer.decode` for that.
   */
  readonly text: string;
  /** By the model itself: softmax of all logits at temperature 1. From 0 to 1. */
  readonly probability: number;
  /** ln of `probability`, in nats; a number where that is too small for one. */
  readonly logProb: number;
}

/** Most candidates that may be asked for. */
export const mostCandidates = 50;

/** The numbers of a softmax that all its probabilities have in common. */
export interface SoftmaxSum {
  readonly highest: number;
  /** Sum of e^(logit − highest): from 1; NaN where no probabilities follow from the logits. */
  readonly sum: number;
}

/**
 * @param logits the `count` logits begin at place `from`. −∞ among them is a token that cannot come.
 */
export const softmaxSum = (logits: ArrayLike<number>, from: number, count: number): SoftmaxSum => {
  let highest = Number.NEGATIVE_INFINITY;
  for (let v = 0; v < count; v++) highest = Math.max(highest, logits[from + v] as number);
  let sum = 0;
  for (let v = 0; v < count; v++) sum += Math.exp((logits[from + v] as number) - highest);
  return { highest, sum };
};

/** The probability of the token at `place` of the logits, and ln of it: wherever they are told, these numbers. */
export const probabilityAt = (logits: ArrayLike<number>, place: number, { highest, sum }: SoftmaxSum) => {
  const above = (logits[place] as number) - highest;
  return { probability: Math.exp(above) / sum, logProb: above - Math.log(sum) };
};

/** Ids of the `most` highest of `count` logits from place `from` on: the highest first, equal ones by their ids. */
export const highestIds = (logits: ArrayLike<number>, from: number, count: number, most: number): readonly number[] => {
  const ids: number[] = [];
  const logitOf = (place: number): number => logits[from + (ids[place] as number)] as number;
  for (let id = 0; id < count; id++) {
    const logit = logits[from + id] as number;
    // Nearly all end here, so one pass over a large vocabulary is enough.
    if (ids.length === most && logit <= logitOf(most - 1)) continue;
    let place = ids.length === most ? most - 1 : ids.length;
    for (; place > 0 && logitOf(place - 1) < logit; place--) ids[place] = ids[place - 1] as number;
    ids[place] = id;
  }
  return ids;
};

/** Names the most probable tokens at a place, from its logits. */
export type NameLikeliest = (logits: ArrayLike<number>, from: number, sum: SoftmaxSum) => readonly Candidate[];

/**
 * @param most tokens to name: all tokens, where there are fewer.
 * @returns what names them: the most probable first, equal ones by their ids.
 */
export const likeliestOf = (tokenizer: Tokenizer, most: number): NameLikeliest => {
  /** The same few tokens come again and again. */
  const texts = new Map<number, string>();
  const textOf = (id: number): string => {
    const known = texts.get(id);
    if (known !== undefined) return known;
    const text = textAlone(tokenizer.token(id), tokenizer.bytes(id));
    texts.set(id, text);
    return text;
  };
  return (logits, from, sum) =>
    // An embedding may have more rows than there are tokens: they count in the sum, as in `score`.
    highestIds(logits, from, tokenizer.vocabSize, most).map((id) => ({
      id,
      text: textOf(id),
      ...probabilityAt(logits, from + id, sum),
    }));
};
