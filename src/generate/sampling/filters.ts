/** Filters: each keeps some of the tokens that may be drawn, by its definition. */

import type { FilterName, Sampling } from "./settings.ts";
import type { Listed } from "./shortlist.ts";

/** Tokens that may be drawn, likeliest first. */
export interface Kept extends Listed {
  /** The logits are divided by it. */
  readonly temperature: number;
  /** e^((logit − the highest) / temperature) of each. */
  readonly weights: Float64Array;
  /** Of all tokens that may be drawn: of more than are listed, where a later step will not keep the others. */
  readonly total: number;
}

const totalOf = (weights: Float64Array): number => {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += weights[i] as number;
  return total;
};

/** What may be drawn of a list, at a temperature. */
export const weighed = ({ ids, logits }: Listed, temperature: number, total?: number): Kept => {
  const top = logits[0] as number;
  const weights = new Float64Array(logits.length);
  for (let i = 0; i < weights.length; i++) weights[i] = Math.exp(((logits[i] as number) - top) / temperature);
  return { ids, logits, temperature, weights, total: total ?? totalOf(weights) };
};

/** The first of them alone, which then are all that may be drawn. */
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

/** The k likeliest (Fan, Lewis & Dauphin 2018). */
const topK = (kept: Kept, k: number): Kept => (k === 0 ? kept : first(kept, k));

/** The smallest set of likeliest tokens whose probabilities reach p: nucleus sampling (Holtzman et al. 2019). */
const topP = (kept: Kept, p: number): Kept => {
  if (p >= 1) return kept;
  let sum = 0;
  let count = 0;
  while (count < kept.weights.length && sum < p * kept.total) sum += kept.weights[count++] as number;
  return first(kept, count);
};

/** Those at least p times as likely as the likeliest (Nguyen et al. 2024). */
const minP = (kept: Kept, p: number): Kept => {
  if (p === 0) return kept;
  const threshold = p * (kept.weights[0] as number);
  let count = 0;
  while (count < kept.weights.length && (kept.weights[count] as number) >= threshold) count++;
  return first(kept, count);
};

/**
 * Locally typical sampling (Meister et al. 2023): the smallest set of tokens whose −ln p is nearest to the entropy, and whose
 * probabilities reach p. Equally near ones: the likelier first.
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

/** One filter after the other. */
export const filtered = (kept: Kept, sampling: Pick<Sampling, FilterName>, order: readonly FilterName[]): Kept =>
  order.reduce((left, name) => filters[name](left, sampling), kept);
