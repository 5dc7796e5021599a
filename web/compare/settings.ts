/** Groups compared runs into settings with several seeds, and estimates how losses vary between seeds. */
import { studentWithin } from "../../src/evaluate/half-width.ts";
import type { RunSummary } from "../../src/serve/studio/protocol.ts";
import { differences } from "./differences.ts";

type Best = NonNullable<RunSummary["best"]>;

/** One run of a setting. */
export interface SeedLoss {
  readonly name: string;
  readonly seed: number;
  /** Best loss of the run, in the measure. */
  readonly loss: number;
}

/** Difference between a setting's mean and the first setting's mean. */
export interface SettingDifference {
  readonly value: number;
  /** `value` ± `halfWidth` is the 95% confidence interval over seeds. Undefined: each setting has only one run. */
  readonly halfWidth: number | undefined;
  /** Whether runs with the same seed are paired. */
  readonly paired: boolean;
}

/** Runs with configurations that differ only in the seed. */
export interface ComparedSetting {
  /** Fields that distinguish this setting from the other settings, with their values. */
  readonly fields: readonly { readonly path: string; readonly value: string }[];
  readonly runs: readonly SeedLoss[];
  readonly mean: number;
  /** Undefined for the first setting. */
  readonly difference: SettingDifference | undefined;
}

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, value) => sum + value, 0);
const meanOf = (numbers: readonly number[]): number => sumOf(numbers) / numbers.length;
const squares = (numbers: readonly number[]): number => {
  const mean = meanOf(numbers);
  return sumOf(numbers.map((value) => (value - mean) ** 2));
};

/** Two-sided 95% quantile of Student's t distribution. */
const student95 = (degrees: number): number => {
  let [low, high] = [0, 1];
  while (studentWithin(high, degrees) < 0.95) [low, high] = [high, 2 * high];
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (studentWithin(middle, degrees) < 0.95) low = middle;
    else high = middle;
  }
  return high;
};

const lossesOf = (runs: readonly SeedLoss[]): readonly number[] => runs.map(({ loss }) => loss);

/**
 * Difference with its confidence interval from Student's t. Runs with the same seeds are compared in pairs. Other runs
 * are compared as two samples with a common variance.
 */
const differenceOf = (own: readonly SeedLoss[], first: readonly SeedLoss[]): SettingDifference => {
  const value = meanOf(lossesOf(own)) - meanOf(lossesOf(first));
  const bySeed = new Map(first.map(({ seed, loss }) => [seed, loss]));
  const pairs = own.flatMap(({ seed, loss }) => {
    const other = bySeed.get(seed);
    return other === undefined ? [] : [loss - other];
  });
  const paired = pairs.length === own.length && bySeed.size === own.length && first.length === own.length;
  const groups = paired ? [pairs] : [lossesOf(own), lossesOf(first)];
  const degrees = sumOf(groups.map(({ length }) => length - 1));
  if (degrees === 0) return { value, halfWidth: undefined, paired };
  const variance = sumOf(groups.map(squares)) / degrees;
  const error = Math.sqrt(variance * sumOf(groups.map(({ length }) => 1 / length)));
  return { value, halfWidth: student95(degrees) * error, paired };
};

const keyOf = ({ config, corpusSha256, initFrom }: RunSummary): string =>
  JSON.stringify([{ ...config, train: { ...config.train, seed: undefined } }, corpusSha256, initFrom]);

/**
 * Groups measured runs into settings, in the order of the runs.
 * @param of best loss of a run, in the chosen measure.
 * @returns settings; empty if there is only one setting, if texts differ, or if no setting has several seeds.
 */
export const comparedSettings = (
  runs: readonly RunSummary[],
  of: (best: Best) => number,
): readonly ComparedSetting[] => {
  const measured = runs.filter(({ best }) => best !== null);
  const groups = new Map<string, RunSummary[]>();
  for (const run of measured) groups.set(keyOf(run), [...(groups.get(keyOf(run)) ?? []), run]);
  const settings = [...groups.values()];
  const isOneText = new Set(measured.map(({ corpusSha256 }) => corpusSha256)).size === 1;
  if (!isOneText || settings.length < 2 || settings.every(({ length }) => length === 1)) return [];
  const told = differences(settings.flatMap(([run]) => run ?? [])).filter(({ path }) => path !== "train.seed");
  const losses = settings.map((group) =>
    group.map(({ name, config, best }) => ({ name, seed: config.train.seed, loss: of(best as Best) })),
  );
  return losses.map((own, i) => ({
    fields: told.map(({ path, values }) => ({ path, value: values[i] ?? "–" })),
    runs: own,
    mean: meanOf(lossesOf(own)),
    difference: i === 0 ? undefined : differenceOf(own, losses[0] ?? []),
  }));
};

/** Position on the picture's axis, in percent of its width. */
export type Place = (loss: number) => number;

/** Axis of the picture. The axis covers all losses and intervals, with a margin. */
export const placesOf = (settings: readonly ComparedSetting[]): Place => {
  const ends = settings.flatMap(({ runs, mean, difference }) => {
    const half = difference?.halfWidth ?? 0;
    return [...lossesOf(runs), mean - half, mean + half];
  });
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const span = high - low || 1;
  return (loss) => 4 + (92 * (loss - low)) / span;
};

/** Whether the interval of a difference excludes 0. */
export const isClear = ({ value, halfWidth }: SettingDifference): boolean =>
  halfWidth !== undefined && Math.abs(value) > halfWidth;
