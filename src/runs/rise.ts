/**
 * Decides whether a validation loss has clearly begun to rise. This file must not import anything: the studio's page
 * bundles it.
 */

/**
 * Minimum ratio to the best loss that is more than noise: at the first evaluation after the best one, and from the
 * second one on.
 */
const atOnce = 1.05;
const later = 1.01;

/**
 * @param valLoss the current loss; `best` is the lowest loss so far.
 * @param evalsSinceBest number of evaluations since the best one, including this one.
 */
export const hasRisen = (valLoss: number, best: number, evalsSinceBest: number): boolean =>
  valLoss > atOnce * best || (evalsSinceBest >= 2 && valLoss > later * best);
