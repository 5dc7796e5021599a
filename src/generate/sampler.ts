import { z } from "zod";
import type { RandomStream } from "../core/random.ts";

/** How a token is chosen from the logits. */
export const samplingSchema = z.strictObject({
  temperature: z.number().min(0).describe("divides the logits; 0 takes the likeliest token (greedy)"),
  topK: z.int().min(0).describe("keep only the k likeliest tokens; 0: all"),
  topP: z.number().gt(0).max(1).describe("keep the likeliest tokens that together reach this probability; 1: all"),
  minP: z.number().min(0).max(1).describe("drop tokens less likely than this times the likeliest; 0: none"),
});
export type Sampling = z.infer<typeof samplingSchema>;

/** Tokens that may be drawn, likeliest first, with probabilities that sum to 1. */
export interface Candidates {
  readonly ids: readonly number[];
  readonly probabilities: readonly number[];
}

type Filter = (candidates: Candidates) => Candidates;

const keepFirst = ({ ids, probabilities }: Candidates, count: number): Candidates => {
  const kept = probabilities.slice(0, Math.max(1, count));
  const total = kept.reduce((sum, p) => sum + p, 0);
  return { ids: ids.slice(0, kept.length), probabilities: kept.map((p) => p / total) };
};

/** The k likeliest (Fan, Lewis & Dauphin 2018). */
export const topK =
  (k: number): Filter =>
  (candidates) =>
    keepFirst(candidates, k);

/** The smallest set of likeliest tokens whose probabilities reach p: nucleus sampling (Holtzman et al. 2019). */
export const topP =
  (p: number): Filter =>
  (candidates) => {
    let total = 0;
    let count = 0;
    for (const probability of candidates.probabilities) {
      total += probability;
      count++;
      if (total >= p) break;
    }
    return keepFirst(candidates, count);
  };

/** Those at least `p` times as likely as the likeliest (Nguyen et al. 2024). */
export const minP =
  (p: number): Filter =>
  (candidates) => {
    const threshold = p * (candidates.probabilities[0] ?? 0);
    return keepFirst(candidates, candidates.probabilities.filter((probability) => probability >= threshold).length);
  };

const idRange = 2 ** 21;
const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** Ids of the logits from high to low, equal ones in their own order. */
const sortedIds = (logits: Float32Array): number[] => {
  if (logits.length > idRange)
    return Array.from(logits, (_, id) => id).sort((a, b) => (logits[b] as number) - (logits[a] as number) || a - b);
  // Numbers sort many times faster without a function that compares two: each holds the place of its logit among all
  // float32, the highest first, and below that its id. 0 is added so that −0 is 0.
  const keys = Float64Array.from(logits, (logit, id) => {
    float[0] = logit + 0;
    const bits = word[0] as number;
    const fromHighest = bits >= 2 ** 31 ? bits : 2 ** 31 - 1 - bits;
    return fromHighest * idRange + id;
  }).sort();
  return Array.from(keys, (key) => key % idRange);
};

/** softmax(logits / temperature) as candidates, likeliest first; equal ones in the order of their ids. */
export const candidatesOf = (logits: Float32Array, temperature: number): Candidates => {
  const ids = sortedIds(logits);
  const highest = logits[ids[0] as number] as number;
  const weights = ids.map((id) => Math.exp(((logits[id] as number) - highest) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return { ids, probabilities: weights.map((weight) => weight / total) };
};

/** What would be drawn from: temperature, then top-k, top-p and min-p, in the order of Hugging Face's generate. */
export const filterCandidates = (logits: Float32Array, sampling: Sampling): Candidates => {
  const filters: Filter[] = [];
  if (sampling.topK > 0) filters.push(topK(sampling.topK));
  if (sampling.topP < 1) filters.push(topP(sampling.topP));
  if (sampling.minP > 0) filters.push(minP(sampling.minP));
  return filters.reduce((candidates, filter) => filter(candidates), candidatesOf(logits, sampling.temperature));
};

const argmax = (logits: Float32Array): number => {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if ((logits[id] as number) > (logits[best] as number)) best = id;
  return best;
};

/** The token that a number fell on, and the part of [0, 1) that belongs to it. */
export interface Draw {
  readonly id: number;
  /** Sum of the probabilities before it, and that sum with its own. */
  readonly from: number;
  readonly to: number;
}

/** Lays the candidates end to end, each as long as its probability, and takes the one that `number` in [0, 1) falls on. */
export const drawToken = ({ ids, probabilities }: Candidates, number: number): Draw => {
  let remaining = number;
  let from = 0;
  for (const [i, probability] of probabilities.entries()) {
    remaining -= probability;
    // Rounding may leave a little of 1 to no one: the last candidate has it.
    if (remaining < 0 || i === probabilities.length - 1) return { id: ids[i] as number, from, to: from + probability };
    from += probability;
  }
  throw new Error("there must be a candidate to draw");
};

/** Chooses one token. Greedy uses no randomness, all else one number per token. */
export const sampleToken = (logits: Float32Array, sampling: Sampling, random: RandomStream): number =>
  sampling.temperature === 0 ? argmax(logits) : drawToken(filterCandidates(logits, sampling), random.uniform()).id;
