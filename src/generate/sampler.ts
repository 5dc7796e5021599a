import { z } from "zod";
import type { RandomStream } from "../core/random.ts";

/** The schema of `Sampling`. */
export const samplingSchema = z.strictObject({
  temperature: z.number().min(0).describe("divides the logits; 0 takes the likeliest token (greedy)"),
  topK: z.int().min(0).describe("keep only the k likeliest tokens; 0: all"),
  topP: z.number().gt(0).max(1).describe("keep the likeliest tokens that together reach this probability; 1: all"),
  minP: z.number().min(0).max(1).describe("drop tokens less likely than this times the likeliest; 0: none"),
});
// The docstrings of the fields are the schema's, for editors: `node scripts/docs/config-docs.mjs` writes them.
/** How a token is chosen from the logits. */
export interface Sampling {
  /** Divides the logits; 0 takes the likeliest token (greedy). Number from 0. Default 0.8. */
  readonly temperature: number;
  /** Keep only the k likeliest tokens; 0: all. Whole number from 0. Default 40. */
  readonly topK: number;
  /** Keep the likeliest tokens that together reach this probability; 1: all. Number above 0, at most 1. Default 1. */
  readonly topP: number;
  /** Drop tokens less likely than this times the likeliest; 0: none. Number from 0 to 1. Default 0. */
  readonly minP: number;
}

/** Tokens that may be drawn, likeliest first and equal ones in the order of their ids, with probabilities that sum to 1. */
export interface Candidates {
  readonly ids: readonly number[];
  readonly probabilities: Float64Array;
}

// What follows is run for each token, so it sorts, finds and copies whole arrays at once, in the engine. Ids are found last:
// most of them never are.

/** Divides weights by their sum, where they are. */
const normalise = (weights: Float64Array): Float64Array => {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += weights[i] as number;
  for (let i = 0; i < weights.length; i++) weights[i] = (weights[i] as number) / total;
  return weights;
};

/** softmax(sorted / temperature), of logits from high to low. */
const softmax = (sorted: Float32Array, temperature: number): Float64Array => {
  const weights = new Float64Array(sorted);
  const highest = weights[0] as number;
  for (let i = 0; i < weights.length; i++) weights[i] = Math.exp(((weights[i] as number) - highest) / temperature);
  return normalise(weights);
};

// Filters take probabilities from high to low and keep the first ones, where they are.

const keepFirst = (probabilities: Float64Array, count: number): Float64Array =>
  normalise(probabilities.subarray(0, Math.max(1, count)));

/** The k likeliest (Fan, Lewis & Dauphin 2018). */
const topK = (probabilities: Float64Array, k: number): Float64Array => keepFirst(probabilities, k);

/** The smallest set of likeliest tokens whose probabilities reach p: nucleus sampling (Holtzman et al. 2019). */
const topP = (probabilities: Float64Array, p: number): Float64Array => {
  let total = 0;
  let count = 0;
  while (count < probabilities.length && total < p) total += probabilities[count++] as number;
  return keepFirst(probabilities, count);
};

/** Those at least `p` times as likely as the likeliest (Nguyen et al. 2024). */
const minP = (probabilities: Float64Array, p: number): Float64Array => {
  const threshold = p * (probabilities[0] as number);
  let count = 0;
  while (count < probabilities.length && (probabilities[count] as number) >= threshold) count++;
  return keepFirst(probabilities, count);
};

/** Probabilities of what would be drawn from: temperature, then top-k, top-p and min-p, in the order of Hugging Face's generate. */
const keptProbabilities = (sorted: Float32Array, sampling: Sampling): Float64Array => {
  let probabilities = softmax(sorted, sampling.temperature);
  if (sampling.topK > 0) probabilities = topK(probabilities, sampling.topK);
  if (sampling.topP < 1) probabilities = topP(probabilities, sampling.topP);
  if (sampling.minP > 0) probabilities = minP(probabilities, sampling.minP);
  return probabilities;
};

const fromHighToLow = (logits: Float32Array): Float32Array => logits.slice().sort().reverse();

/** The token at `place` of `sorted`, the logits from high to low. */
const idAt = (logits: Float32Array, sorted: Float32Array, place: number): number => {
  const logit = sorted[place] as number;
  // Of a model that has diverged: any token will do.
  if (Number.isNaN(logit)) return place;
  let id = logits.indexOf(logit);
  for (let equal = sorted.indexOf(logit); equal < place; equal++) id = logits.indexOf(logit, id + 1);
  return id;
};

/** What would be drawn from, with temperature, top-k, top-p and min-p. */
export const filterCandidates = (logits: Float32Array, sampling: Sampling): Candidates => {
  const sorted = fromHighToLow(logits);
  const probabilities = keptProbabilities(sorted, sampling);
  return { ids: Array.from(probabilities, (_, place) => idAt(logits, sorted, place)), probabilities };
};

/** softmax(logits / temperature) as candidates. */
export const candidatesOf = (logits: Float32Array, temperature: number): Candidates =>
  filterCandidates(logits, { temperature, topK: 0, topP: 1, minP: 0 });

const argmax = (logits: Float32Array): number => {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if ((logits[id] as number) > (logits[best] as number)) best = id;
  return best;
};

/** The place among candidates that a number fell on, and the part of [0, 1) that belongs to it. */
interface Fall {
  readonly place: number;
  /** Sum of the probabilities before it, and that sum with its own. */
  readonly from: number;
  readonly to: number;
}

/** Lays probabilities end to end and takes the one that `number` in [0, 1) falls on. */
const fallOn = (probabilities: Float64Array, number: number): Fall => {
  // Rounding may leave a little of 1 to no one: the last candidate has it.
  const last = probabilities.length - 1;
  let remaining = number;
  let from = 0;
  for (let place = 0; ; place++) {
    const probability = probabilities[place] as number;
    remaining -= probability;
    if (remaining < 0 || place >= last) return { place, from, to: from + probability };
    from += probability;
  }
};

/** The token that a number fell on, and the part of [0, 1) that belongs to it. */
export interface Draw extends Omit<Fall, "place"> {
  readonly id: number;
}

/** Draws the candidate that `number` in [0, 1) falls on. */
export const drawToken = ({ ids, probabilities }: Candidates, number: number): Draw => {
  const { place, from, to } = fallOn(probabilities, number);
  return { id: ids[place] as number, from, to };
};

/** Chooses one token. Greedy uses no randomness, all else one number per token. */
export const sampleToken = (logits: Float32Array, sampling: Sampling, random: RandomStream): number => {
  if (sampling.temperature === 0) return argmax(logits);
  const sorted = fromHighToLow(logits);
  return idAt(logits, sorted, fallOn(keptProbabilities(sorted, sampling), random.uniform()).place);
};
