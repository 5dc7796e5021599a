/** Filters of sampling. Each filter keeps some of the tokens, by its own rule. */

import type { FilterName, Sampling } from "./settings.ts";
import type { Listed } from "./shortlist.ts";

/** Tokens that may be drawn. The most probable token comes first. */
export interface Kept extends Listed {
  /** Temperature that divides the logits in `weights`. */
  readonly temperature: number;
  /** e^((logit − highest logit) / temperature) of each token. */
  readonly weights: Float64Array;
  /**
   * Sum of the weights of all tokens that may be drawn. The sum may include tokens that are not in the list, if a later
   * filter drops these tokens.
   */
  readonly total: number;
}

const totalOf = (weights: Float64Array): number => {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += weights[i] as number;
  return total;
};

/** Computes the weights of the listed tokens at a temperature. */
export const weighed = ({ ids, logits }: Listed, temperature: number, total?: number): Kept => {
  const top = logits[0] as number;
  const weights = new Float64Array(logits.length);
  for (let i = 0; i < weights.length; i++) weights[i] = Math.exp(((logits[i] as number) - top) / temperature);
  return { ids, logits, temperature, weights, total: total ?? totalOf(weights) };
};

/** Keeps only the first `count` tokens, at least one. */
const first = ({ ids, logits, temperature, weights }: Kept, count: number): Kept => {
  const some = Math.max(1, count);
  const heaviest = weights.subarray(0, some);
  return {
    ids: ids.slice(0, some),
    logits: logits.slice(0, some),
    temperature,
    weights: heaviest,
    total: totalOf(heaviest),
  };
};

/** Keeps the k most probable tokens (Fan, Lewis & Dauphin 2018). */
const topK = (kept: Kept, k: number): Kept => (k === 0 || k === kept.weights.length ? kept : first(kept, k));

/**
 * Nucleus sampling: keeps the most probable tokens until their probabilities add up to p or more (Holtzman et al.
 * 2019).
 */
const topP = (kept: Kept, p: number): Kept => {
  if (p >= 1) return kept;
  let sum = 0;
  let count = 0;
  while (count < kept.weights.length && sum < p * kept.total) sum += kept.weights[count++] as number;
  return first(kept, count);
};

/** Keeps tokens with a probability of at least p times the highest probability (Nguyen et al. 2024). */
const minP = (kept: Kept, p: number): Kept => {
  if (p === 0) return kept;
  const threshold = p * (kept.weights[0] as number);
  let count = 0;
  while (count < kept.weights.length && (kept.weights[count] as number) >= threshold) count++;
  return first(kept, count);
};

/**
 * Locally typical sampling (Meister et al. 2023): takes the tokens with a −ln p near the entropy, the nearest first,
 * until their probabilities add up to p or more. If two tokens have the same distance from the entropy, the more
 * probable token comes first.
 */
const typicalP = (kept: Kept, p: number): Kept => {
  if (p >= 1) return kept;
  const { ids, logits, weights, total } = kept;
  const surprises = Float64Array.from(weights, (weight) => -Math.log(weight / total));
  let entropy = 0;
  for (const [i, weight] of weights.entries()) if (weight > 0) entropy += (weight / total) * (surprises[i] as number);
  const distance = (i: number): number => Math.abs((surprises[i] as number) - entropy);
  const places = ids.map((_, i) => i).sort((a, b) => distance(a) - distance(b) || a - b);
  let sum = 0;
  let count = 0;
  while (count < places.length && sum < p * total) sum += weights[places[count++] as number] as number;
  const chosen = places.slice(0, Math.max(1, count)).sort((a, b) => a - b);
  const listed = { ids: chosen.map((i) => ids[i] as number), logits: chosen.map((i) => logits[i] as number) };
  return weighed(listed, kept.temperature);
};

type Filter = (kept: Kept, sampling: Pick<Sampling, FilterName>) => Kept;

const filters: Readonly<Record<FilterName, Filter>> = {
  temperature: (kept, sampling) =>
    sampling.temperature === kept.temperature ? kept : weighed(kept, sampling.temperature),
  topK: (kept, sampling) => topK(kept, sampling.topK),
  topP: (kept, sampling) => topP(kept, sampling.topP),
  minP: (kept, sampling) => minP(kept, sampling.minP),
  typicalP: (kept, sampling) => typicalP(kept, sampling.typicalP),
};

/** Applies the filters in order. */
export const filtered = (kept: Kept, sampling: Pick<Sampling, FilterName>, order: readonly FilterName[]): Kept =>
  order.reduce((left, name) => filters[name](left, sampling), kept);
