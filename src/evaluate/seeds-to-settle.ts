import type { StudentPart } from "./half-width.ts";
import { withinSum } from "./sum-of-errors.ts";

/** Maximum number of seeds. Nobody trains more runs. */
const mostSeeds = 100;

/** The 80% quantile of the normal distribution. */
const power80 = 0.8416;

/**
 * The number of seeds per setting for a power of 80%: 80 of 100 comparisons detect a difference. The result is the
 * smallest number with
 *
 *     difference ≥ half width of the 95% interval + 0.84 · standard error of the seeds
 *
 * This is the usual approximation of the power of a t test (Cohen 1988, "Statistical power analysis", 12.7). The error
 * from the text stays unchanged.
 * @param difference above 0.
 * @param deviation standard deviation between seeds, of paired differences or of runs.
 * @param perSeed number of means with errors that add up: 1 for paired runs, 2 for unpaired runs.
 * @param text the error from the text.
 * @returns null if more than 100 seeds are needed, or if the text is too short for any number of seeds.
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
