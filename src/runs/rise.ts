/**
 * Decides whether a validation loss has clearly begun to rise. This file must not import anything: the studio's page
 * bundles it.
 */

/**
 * Factors by which a loss must exceed the best loss to count as a rise instead of noise. `atOnce` is for the first
 * evaluation after the best evaluation. `later` is for the following evaluations.
 */
const atOnce = 1.05;
const later = 1.01;

/**
 * @param valLoss the current loss; `best` is the lowest loss so far.
 * @param evalsSinceBest number of evaluations after the best evaluation, including the current evaluation.
 */
export const hasRisen = (valLoss: number, best: number, evalsSinceBest: number): boolean =>
  valLoss > atOnce * best || (evalsSinceBest >= 2 && valLoss > later * best);
