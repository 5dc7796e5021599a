/** What a loss means. All losses are in nats per character. */

/** −ln p of the probability that was given to the character that came. */
export const lossOf = (probability: number): number => -Math.log(probability);

export interface Meaning {
  /** e^(ln V − loss): the probability of the right character as a multiple of a guesser's, who gives each the same. */
  readonly timesGuessing: number;
  /** e^loss: choosing among so many equally likely characters is as hard. */
  readonly choices: number;
  /** e^−loss: the probability that costs just this loss; over a text, the geometric mean of the probabilities. */
  readonly probability: number;
}

export const meaningOf = (loss: number, vocabSize: number): Meaning => ({
  timesGuessing: Math.exp(Math.log(vocabSize) - loss),
  choices: Math.exp(loss),
  probability: Math.exp(-loss),
});

/** Positions of a slider of probabilities: by equal factors from 0.1 % to 1, so that small ones have room too. */
export const probabilitySteps = 300;
export const probabilityAt = (position: number): number => 10 ** (-3 + (3 * position) / probabilitySteps);
export const positionOf = (probability: number): number =>
  Math.round((probabilitySteps * (Math.log10(probability) + 3)) / 3);

/** The mean of the last tenth of the steps: one step's loss is the loss of one batch. */
export const recentLoss = (losses: ArrayLike<number>, length = losses.length): number => {
  const count = Math.ceil(length / 10);
  let sum = 0;
  for (let i = length - count; i < length; i++) sum += losses[i] ?? 0;
  return sum / count;
};
