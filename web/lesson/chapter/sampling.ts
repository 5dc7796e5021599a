/** One step of writing: logits → softmax → draw → append. The arithmetic equals the library's `generate`. */

export interface Choice {
  readonly id: number;
  readonly logit: number;
  /** Probability that this choice is drawn. The probability is 0 if top-k excludes the choice. */
  readonly probability: number;
  /** Interval of this choice in [0, 1). The intervals of all choices are side by side, the likeliest first. */
  readonly from: number;
  readonly to: number;
}

/** Choices, likeliest first. Choices with equal logits are sorted by id. A `topK` of 0 keeps all choices. */
export const choicesOf = (logits: ArrayLike<number>, temperature: number, topK: number): readonly Choice[] => {
  const order = Array.from(logits, (logit, id) => ({ id, logit })).sort((a, b) => b.logit - a.logit || a.id - b.id);
  const highest = order[0]?.logit ?? 0;
  const kept = topK > 0 ? Math.min(topK, order.length) : order.length;
  const weights = order.map(({ logit }, place) => (place < kept ? Math.exp((logit - highest) / temperature) : 0));
  const sum = weights.reduce((a, b) => a + b, 0);
  let from = 0;
  return order.map(({ id, logit }, place) => {
    const probability = (weights[place] ?? 0) / sum;
    const choice = { id, logit, probability, from, to: place === kept - 1 ? 1 : from + probability };
    from = choice.to;
    return choice;
  });
};

/** Choice with the interval that contains `number`, a number in [0, 1). */
export const drawn = (choices: readonly Choice[], number: number): Choice | undefined =>
  choices.find(({ probability, to }) => probability > 0 && number < to);

/** End of a sequence that fits the context. The model sees only this part. */
export const cropped = <T>(sequence: readonly T[], contextLength: number): readonly T[] =>
  sequence.slice(-contextLength);

/** States the number of choices that have no row in the table, and how many of these choices top-k excludes. */
export const othersText = (others: number, leftOut: number): string => {
  const drawable = others - leftOut;
  if (leftOut === 0 || drawable === 0) return `${others} ${others === 1 ? "other" : "others"}`;
  return `${drawable} ${drawable === 1 ? "other" : "others"}, ${leftOut} left out`;
};
