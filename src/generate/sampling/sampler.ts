/**
 * How a token is chosen from logits: penalties, biases and banned words change the logits (adjust.ts), filters keep some of the
 * tokens (filters.ts), and one number decides among those.
 */
import type { RandomStream } from "../../core/random.ts";
import { filtered, type Kept, weighed } from "./filters.ts";
import { type Filtering, type FilterName, filterNames, type Sampling } from "./settings.ts";
import { atLeast, highest, massOf, mostSelected, withShare } from "./shortlist.ts";

/** Tokens that may be drawn, likeliest first and equal ones in the order of their ids, with probabilities that sum to 1. */
export interface Candidates {
  readonly ids: readonly number[];
  readonly probabilities: Float64Array;
}

const all = (logits: Float32Array, temperature: number): Kept =>
  weighed(atLeast(logits, Number.NEGATIVE_INFINITY), temperature);

const whole = (filtering: Filtering): Pick<Sampling, FilterName> => ({ typicalP: 1, ...filtering });

/**
 * What would be drawn from.
 * @param order of the filters. Default: temperature, top-k, top-p, min-p, typical, as Hugging Face's generate has them.
 */
export const filterCandidates = (
  logits: Float32Array,
  filtering: Filtering,
  order: readonly FilterName[] = filterNames,
): Candidates => {
  const sampling = whole(filtering);
  const start = order[0] === "temperature" ? sampling.temperature : 1;
  const { ids, weights } = filtered(all(logits, start), sampling, order);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return { ids, probabilities: weights.map((weight) => weight / total) };
};

/** softmax(logits / temperature) as candidates. */
export const candidatesOf = (logits: Float32Array, temperature: number): Candidates =>
  filterCandidates(logits, { temperature, topK: 0, topP: 1, minP: 0 });

const argmax = (logits: Float32Array): number => {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if ((logits[id] as number) > (logits[best] as number)) best = id;
  return best;
};

/** The place among weights that a number fell on, and the part of [0, 1) that belongs to it. */
interface Fall {
  readonly place: number;
  /** Sum of the probabilities before it, and that sum with its own. */
  readonly from: number;
  readonly to: number;
}

/** Lays weights / total end to end and takes the one that `number` in [0, 1) falls on. */
const fallOn = (weights: Float64Array, total: number, number: number): Fall => {
  // Rounding may leave a little of 1 to no one: the last candidate has it.
  const last = weights.length - 1;
  let remaining = number;
  let from = 0;
  for (let place = 0; ; place++) {
    const probability = (weights[place] as number) / total;
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
  const { place, from, to } = fallOn(probabilities, 1, number);
  return { id: ids[place] as number, from, to };
};

/** What may be drawn, as far as the filters and the number ask for it: the rest is not put in order. */
const shortlist = (logits: Float32Array, sampling: Pick<Sampling, FilterName>, number: number): Kept => {
  const { temperature, topK, topP, minP, typicalP } = sampling;
  if (topK > 0 && topK <= mostSelected) return weighed(highest(logits, topK), temperature);
  if (topK > 0 || typicalP < 1) return all(logits, temperature);
  const mass = massOf(logits, temperature);
  // Those that reach p, those that are likely enough, or those up to the one that the number falls on. A little more is listed than
  // that: sums are rounded.
  const share = topP < 1 ? topP : minP > 0 ? 0 : number;
  const listed =
    topP < 1 || minP === 0
      ? withShare(logits, temperature, mass, share + 1e-9)
      : atLeast(logits, mass.highest + temperature * (Math.log(minP) - 1e-6) - 1e-6 * Math.abs(mass.highest));
  return weighed(listed, temperature, mass.sum);
};

/**
 * Chooses one token. Greedy uses no randomness, all else one number per token.
 * @param order as of filterCandidates.
 */
export const sampleToken = (
  logits: Float32Array,
  filtering: Filtering,
  random: RandomStream,
  order: readonly FilterName[] = filterNames,
): number => {
  const sampling = whole(filtering);
  if (sampling.temperature === 0) return argmax(logits);
  const number = random.uniform();
  const isUsual = order === filterNames || order.every((name, i) => name === filterNames[i]);
  const start = order[0] === "temperature" ? sampling.temperature : 1;
  const kept = filtered(isUsual ? shortlist(logits, sampling, number) : all(logits, start), sampling, order);
  // Of a model that has diverged there may be nothing: any token will do.
  return kept.ids.length === 0 ? 0 : (kept.ids[fallOn(kept.weights, kept.total, number).place] as number);
};
