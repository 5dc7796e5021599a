import type { RandomStream } from "../core/random.ts";

/** Model that counts tokens and has no weights. Its predictions depend on the last token, or on no token. */
export interface CountedModel {
  /** Probability in (0, 1]. The probabilities of all `next` sum to 1. */
  readonly probability: (last: number, next: number) => number;
}

/** Returns a model in which all tokens have the same probability, 1/V. */
export const uniformModel = (vocabSize: number): CountedModel => ({ probability: () => 1 / vocabSize });

/**
 * The probabilities are proportional to the counts of tokens in `ids`. 1 is added to each count, so no token has a
 * probability of 0.
 */
export const unigramModel = (ids: Int32Array, vocabSize: number): CountedModel => {
  const counts = new Float64Array(vocabSize).fill(1);
  for (const id of ids) counts[id] = (counts[id] ?? 0) + 1;
  return { probability: (_, next) => (counts[next] ?? 0) / (ids.length + vocabSize) };
};

/**
 * The probabilities are proportional to the counts of the tokens that follow the last token in `ids`. 1 is added to
 * each count.
 */
export const bigramModel = (ids: Int32Array, vocabSize: number): CountedModel => {
  const counts = new Float64Array(vocabSize * vocabSize).fill(1);
  const totals = new Float64Array(vocabSize).fill(vocabSize);
  for (let i = 0; i + 1 < ids.length; i++) {
    const last = ids[i] ?? 0;
    const pair = last * vocabSize + (ids[i + 1] ?? 0);
    counts[pair] = (counts[pair] ?? 0) + 1;
    totals[last] = (totals[last] ?? 0) + 1;
  }
  return { probability: (last, next) => (counts[last * vocabSize + next] ?? 0) / (totals[last] ?? 1) };
};

/** Mean of −ln p over all tokens of `ids` except the first, in nats. */
export const meanLoss = ({ probability }: CountedModel, ids: Int32Array): number => {
  let nats = 0;
  for (let i = 0; i + 1 < ids.length; i++) nats -= Math.log(probability(ids[i] ?? 0, ids[i + 1] ?? 0));
  return nats / (ids.length - 1);
};

/** Draws `length` tokens one after the other. The first drawn token follows `start`. */
export const writeCounted = (
  { probability }: CountedModel,
  vocabSize: number,
  start: number,
  length: number,
  random: RandomStream,
): number[] => {
  const written: number[] = [];
  let last = start;
  for (let i = 0; i < length; i++) {
    let remaining = random.uniform();
    let next = 0;
    for (; next < vocabSize - 1; next++) {
      remaining -= probability(last, next);
      if (remaining < 0) break;
    }
    written.push(next);
    last = next;
  }
  return written;
};
