/** What changes the logits before a token is drawn from them: penalties, biases, banned words. */
import type { Sampling } from "./settings.ts";

/** How often tokens were there. */
export interface History {
  /** The prompt and what was written. */
  readonly ids: readonly number[];
  /** Of the tokens in it. */
  readonly seen: ReadonlySet<number>;
  /** Times that a token was written, after the prompt. */
  readonly written: ReadonlyMap<number, number>;
}

/** Changes logits where they are. */
export type Adjustment = (logits: Float32Array, history: History) => void;

/** Of tokens that were there before: z / θ where z > 0, z · θ elsewhere (Keskar et al. 2019, CTRL). */
export const repetitionPenalty =
  (penalty: number): Adjustment =>
  (logits, { seen }) => {
    for (const id of seen) {
      const logit = logits[id];
      if (logit !== undefined) logits[id] = logit > 0 ? logit / penalty : logit * penalty;
    }
  };

/** z − count · frequency − (1 if count > 0) · presence, of the tokens that were written (as OpenAI's API defines them). */
export const countPenalties =
  (presence: number, frequency: number): Adjustment =>
  (logits, { written }) => {
    for (const [id, count] of written) {
      const logit = logits[id];
      if (logit !== undefined) logits[id] = logit - presence - count * frequency;
    }
  };

/** z + bias, of tokens by their ids. */
export const logitBias =
  (biases: ReadonlyMap<number, number>): Adjustment =>
  (logits) => {
    for (const [id, bias] of biases) {
      const logit = logits[id];
      if (logit !== undefined) logits[id] = logit + bias;
    }
  };

/** −∞ for a token that would end one of some lists of tokens. */
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

/** The penalties of these settings, those that change something. */
export const penaltiesOf = (sampling: Sampling): readonly Adjustment[] => {
  const { repetitionPenalty: repetition, presencePenalty: presence, frequencyPenalty: frequency } = sampling;
  return [
    ...(repetition === 1 ? [] : [repetitionPenalty(repetition)]),
    ...(presence === 0 && frequency === 0 ? [] : [countPenalties(presence, frequency)]),
  ];
};
