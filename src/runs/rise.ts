/** Whether a validation loss has clearly begun to rise. Nothing is imported here: the studio's page bundles this file. */

/** A rise that is more than noise: at once, or at the second evaluation after the best one. */
const atOnce = 1.05;
const later = 1.01;

/**
 * @param valLoss the loss now, and `best` the lowest one so far.
 * @param evalsSinceBest evaluations since then, this one included.
 */
export const hasRisen = (valLoss: number, best: number, evalsSinceBest: number): boolean =>
  valLoss > atOnce * best || (evalsSinceBest >= 2 && valLoss > later * best);
