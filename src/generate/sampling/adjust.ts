/** Changes of the logits before a token is drawn: penalties, biases, banned words. */
import type { Sampling } from "./settings.ts";

/** The tokens so far, and the number of occurrences of each token. */
export interface History {
  /** Ids of the prompt and of the written tokens. */
  readonly ids: readonly number[];
  /** Set of all ids in `ids`. */
  readonly seen: ReadonlySet<number>;
  /** Number of times that each token was written after the prompt. */
  readonly written: ReadonlyMap<number, number>;
}

/** Changes logits in place. */
export type Adjustment = (logits: Float32Array, history: History) => void;

/** Repetition penalty θ for tokens that occurred before: z / θ if z > 0, else z · θ (Keskar et al. 2019, CTRL). */
export const repetitionPenalty =
  (penalty: number): Adjustment =>
  (logits, { seen }) => {
    for (const id of seen) {
      const logit = logits[id];
      if (logit !== undefined) logits[id] = logit > 0 ? logit / penalty : logit * penalty;
    }
  };

/** z − count · frequency − (1 if count > 0) · presence, for written tokens (as in OpenAI's API). */
export const countPenalties =
  (presence: number, frequency: number): Adjustment =>
  (logits, { written }) => {
    for (const [id, count] of written) {
      const logit = logits[id];
      if (logit !== undefined) logits[id] = logit - presence - count * frequency;
    }
  };

/** z + bias, for the ids that have a bias. */
export const logitBias =
  (biases: ReadonlyMap<number, number>): Adjustment =>
  (logits) => {
    for (const [id, bias] of biases) {
      const logit = logits[id];
      if (logit !== undefined) logits[id] = logit + bias;
    }
  };

/** z = −∞ for each token that would complete a banned sequence of tokens. */
export const banned =
  (lists: readonly (readonly number[])[]): Adjustment =>
  (logits, { ids }) => {
    for (const list of lists) {
      const before = list.length - 1;
      const last = list[before];
      const from = ids.length - before;
      if (last === undefined || from < 0) continue;
      if (list.every((id, i) => i === before || ids[from + i] === id)) logits[last] = Number.NEGATIVE_INFINITY;
    }
  };

/** The penalties of the settings. Penalties without effect are left out. */
export const penaltiesOf = (sampling: Sampling): readonly Adjustment[] => {
  const { repetitionPenalty: repetition, presencePenalty: presence, frequencyPenalty: frequency } = sampling;
  return [
    ...(repetition === 1 ? [] : [repetitionPenalty(repetition)]),
    ...(presence === 0 && frequency === 0 ? [] : [countPenalties(presence, frequency)]),
  ];
};
