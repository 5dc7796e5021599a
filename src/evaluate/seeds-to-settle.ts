import type { StudentPart } from "./half-width.ts";
import { withinSum } from "./sum-of-errors.ts";

/** More than anybody trains. */
const mostSeeds = 100;

/** Of the normal distribution: 80% lie below it. */
const power80 = 0.8416;

/**
 * The number of seeds of each setting with which a difference is told from 0 in 80 of 100 comparisons: the smallest with
 *
 *   difference ≥ half width of the 95% interval + 0.84 · standard error of the seeds
 *
 * the usual approximation of the power of a t test (Cohen 1988, "Statistical power analysis", 12.7), with the text's error as it is.
 * @param difference above 0.
 * @param deviation standard deviation between seeds, of pairs' differences or of runs.
 * @param perSeed means whose errors are added up: 1 of pairs, 2 of runs that are not paired.
 * @param text the text's error.
 * @returns null: more than 100 seeds, or the text is too short for any number.
 */
export const seedsToSettle = (
  difference: number,
  deviation: number,
  perSeed: 1 | 2,
  text: readonly StudentPart[],
): number | null => {
  const isEnough = (seeds: number): boolean => {
    const scale = deviation * Math.sqrt(perSeed / seeds);
    const own = scale === 0 ? [] : [{ weight: 1, scale, degrees: perSeed * (seeds - 1) }];
    const parts = [...own, ...text];
    if (parts.length === 0) return true;
    const room = difference - power80 * scale;
    if (room <= 0) return false;
    return withinSum(own, text)(room) >= 0.95;
  };
  let [low, high] = [1, 2];
  while (!isEnough(high)) {
    if (high === mostSeeds) return null;
    [low, high] = [high, Math.min(mostSeeds, 2 * high)];
  }
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (isEnough(middle)) high = middle;
    else low = middle;
  }
  return high;
};
