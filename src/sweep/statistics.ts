/** Tests whether settings differ, from losses of runs with the same seeds. */
import { studentWithin } from "../evaluate/half-width.ts";

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, value) => sum + value, 0);
export const mean = (numbers: readonly number[]): number => sumOf(numbers) / numbers.length;

/** Noise in a run's loss: the part that neither the setting nor the seed explains. */
export interface Noise {
  /** Its variance. */
  readonly variance: number;
  readonly degrees: number;
}

/**
 * Estimates the variance of the part of a run's loss that neither the setting nor the seed explains. The estimate is
 * the residual mean square of a table of settings and seeds (analysis of variance of randomised blocks; Fisher 1935,
 * "The design of experiments", IV). All settings are assumed to be equally noisy.
 * @param losses one row for each setting, one column for each seed.
 * @returns undefined for fewer than two settings or seeds.
 */
export const noiseOf = (losses: readonly (readonly number[])[]): Noise | undefined => {
  const seeds = losses[0]?.length ?? 0;
  const degrees = (losses.length - 1) * (seeds - 1);
  if (degrees < 1) return undefined;
  const rows = losses.map(mean);
  const columns = Array.from({ length: seeds }, (_, k) => mean(losses.map((row) => row[k] as number)));
  const all = mean(rows);
  const squares = losses.map((row, i) =>
    sumOf(row.map((loss, k) => (loss - (rows[i] as number) - (columns[k] as number) + all) ** 2)),
  );
  return { variance: sumOf(squares) / degrees, degrees };
};

/**
 * Probability of a mean difference at least this large if the settings were equally good (one-sided t test of runs
 * paired by seed).
 * @param difference mean difference of the pairs.
 */
export const probabilityOf = (difference: number, pairs: number, { variance, degrees }: Noise): number => {
  if (variance === 0) return difference > 0 ? 0 : 1;
  const t = difference / Math.sqrt((2 * variance) / pairs);
  return (1 - Math.sign(t) * studentWithin(Math.abs(t), degrees)) / 2;
};

/** Half the width of the 95% confidence interval of a mean difference of pairs. */
export const halfWidthOfPairs = (pairs: number, { variance, degrees }: Noise): number => {
  let [low, high] = [0, 1];
  while (studentWithin(high, degrees) < 0.95) [low, high] = [high, 2 * high];
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (studentWithin(middle, degrees) < 0.95) low = middle;
    else high = middle;
  }
  return high * Math.sqrt((2 * variance) / pairs);
};
