/**
 * Decides whether a validation loss has clearly begun to rise. This file must not import anything: the studio's page
 * bundles it.
 */

/**
 * How many times the best loss a loss must exceed to count as a rise, not as noise. `atOnce` is for the first
 * evaluation after the best one, `later` for the following ones.
 */
const atOnce = 1.05;
const later = 1.01;

/**
 * @param valLoss the current loss; `best` is the lowest loss so far.
 * @param evalsSinceBest number of evaluations since the best one, including this one.
 */
export const hasRisen = (valLoss: number, best: number, evalsSinceBest: number): boolean =>
  valLoss > atOnce * best || (evalsSinceBest >= 2 && valLoss > later * best);
