/** Shades of probabilities. */

/** Level of a probability, from 0 to 5. Higher probabilities are darker. */
export const shareLevel = (probability: number): number => {
  const level = [0.9, 0.5, 0.2, 0.05, 0.01].findIndex((least) => probability >= least);
  return level === -1 ? 0 : 5 - level;
};
