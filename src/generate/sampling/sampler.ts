/**
 * Chooses a token from logits. First, penalties, biases and banned words change the logits (adjust.ts). Next, filters
 * keep some of the tokens (filters.ts). Finally, one random number chooses from the remaining tokens.
 */
import type { RandomStream } from "../../core/random.ts";
import { argmax } from "./argmax.ts";
import { filtered, type Kept, weighed } from "./filters.ts";
import { type Filtering, type FilterName, filterNames, type Sampling } from "./settings.ts";
import { atLeast, highest, massOf, mostSelected, withShare } from "./shortlist.ts";

/**
 * Tokens that may be drawn, with probabilities that sum to 1. The most probable token comes first; equally probable
 * tokens are sorted by id.
 */
export interface Candidates {
  readonly ids: readonly number[];
  readonly probabilities: Float64Array;
}

const all = (logits: Float32Array, temperature: number): Kept =>
  weighed(atLeast(logits, Number.NEGATIVE_INFINITY), temperature);

/** This runs for every token, so settings that are complete are not copied. */
const whole = (filtering: Filtering): Pick<Sampling, FilterName> => {
  const { typicalP } = filtering;
  return typicalP === undefined ? { ...filtering, typicalP: 1 } : (filtering as Pick<Sampling, FilterName>);
};

/**
 * The tokens that the filters keep, with their probabilities.
 * @param order order of the filters. Default: temperature, top-k, top-p, min-p, typical, as in Hugging Face's
 * `generate`.
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

/** Candidates with the probabilities softmax(logits / temperature). */
export const candidatesOf = (logits: Float32Array, temperature: number): Candidates =>
  filterCandidates(logits, { temperature, topK: 0, topP: 1, minP: 0 });

/** The index of the weight that a random number selected, and the interval of [0, 1) that belongs to this weight. */
interface Fall {
  readonly place: number;
  /** The interval starts at `from`, the sum of all earlier probabilities, and ends at `to`. */
  readonly from: number;
  readonly to: number;
}

/**
 * Puts the intervals of the probabilities (weights / total) one after the other. Selects the interval that contains
 * `number`, which is in [0, 1).
 */
const fallOn = (weights: Float64Array, total: number, number: number): Fall => {
  // The sum of the rounded probabilities may be a little below 1, so the last candidate gets the missing part.
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

/** The token that a random number selected, and the interval of [0, 1) that belongs to this token. */
export interface Draw extends Omit<Fall, "place"> {
  readonly id: number;
}

/** Draws the candidate with the interval that contains `number`, which is in [0, 1). */
export const drawToken = ({ ids, probabilities }: Candidates, number: number): Draw => {
  const { place, from, to } = fallOn(probabilities, 1, number);
  return { id: ids[place] as number, from, to };
};

/**
 * The most probable tokens, up to the number that the filters and the random number need. The other tokens are not
 * sorted.
 */
const shortlist = (logits: Float32Array, sampling: Pick<Sampling, FilterName>, number: number): Kept => {
  const { temperature, topK, topP, minP, typicalP } = sampling;
  if (topK > 0 && topK <= mostSelected) return weighed(highest(logits, topK), temperature);
  if (topK > 0 || typicalP < 1) return all(logits, temperature);
  const mass = massOf(logits, temperature);
  // Lists the tokens that top-p needs, the tokens that min-p keeps, or all tokens up to the drawn token. The small
  // margins are for rounded sums.
  const share = topP < 1 ? topP : minP > 0 ? 0 : number;
  const listed =
    topP < 1 || minP === 0
      ? withShare(logits, temperature, mass, share + 1e-9)
      : atLeast(logits, mass.highest + temperature * (Math.log(minP) - 1e-6) - 1e-6 * Math.abs(mass.highest));
  return weighed(listed, temperature, mass.sum);
};

/**
 * Chooses one token. Greedy decoding (temperature 0) uses no random number. Otherwise, each token uses one random
 * number.
 * @param order order of the filters, see `filterCandidates`.
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
  // The list is empty if all logits are NaN, as after diverged training. Any token can then be returned.
  return kept.ids.length === 0 ? 0 : (kept.ids[fallOn(kept.weights, kept.total, number).place] as number);
};
