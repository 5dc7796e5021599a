/** Meaning of a loss. All losses are in nats per character. */

/** Loss of a prediction: −ln p of the right character's probability. */
export const lossOf = (probability: number): number => -Math.log(probability);

export interface Meaning {
  /** e^(ln V − loss): the right character's probability as a multiple of 1/V, a guesser's probability. */
  readonly timesGuessing: number;
  /** e^loss, the perplexity. A perplexity of 5 means: guessing among 5 equally likely characters is equally hard. */
  readonly choices: number;
  /**
   * e^−loss, the probability that has this loss. For a text, this is the geometric mean of the probabilities of its
   * characters.
   */
  readonly probability: number;
}

export const meaningOf = (loss: number, vocabSize: number): Meaning => ({
  timesGuessing: Math.exp(Math.log(vocabSize) - loss),
  choices: Math.exp(loss),
  probability: Math.exp(-loss),
});

/**
 * Number of positions of a probability slider. Between neighbouring positions, the probability grows by the same
 * factor, from 0.1% to 1. So small probabilities have many positions.
 */
export const probabilitySteps = 300;
export const probabilityAt = (position: number): number => 10 ** (-3 + (3 * position) / probabilitySteps);
export const positionOf = (probability: number): number =>
  Math.round((probabilitySteps * (Math.log10(probability) + 3)) / 3);

/**
 * Mean loss of the last tenth of the steps. The loss of a single step is noisy, because it is the loss of one batch.
 */
export const recentLoss = (losses: ArrayLike<number>, length = losses.length): number => {
  const count = Math.ceil(length / 10);
  let sum = 0;
  for (let i = length - count; i < length; i++) sum += losses[i] ?? 0;
  return sum / count;
};
