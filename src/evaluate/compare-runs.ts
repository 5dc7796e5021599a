/** Compares settings by their losses on one text, over several training seeds. */
import { checkOptions } from "../core/checks/check-arguments.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import { blocksOf, fewestBlocks, type HalfWidth, mostBlocks, sumOf, windowsOf } from "./compare.ts";
import type { Evaluation, WindowLoss } from "./evaluate.ts";
import { errorOfMean, halfWidthOf, type StudentPart } from "./half-width.ts";
import { holm } from "./holm.ts";
import { seedsToSettle } from "./seeds-to-settle.ts";
import { withinSum } from "./sum-of-errors.ts";

/** A setting: the evaluations of runs that differ only in their seeds. */
export interface MeasuredSetting {
  /** Results of `evaluate` with `windows: true`, one for each run. All results must have the same windows. */
  readonly evaluations: readonly Evaluation[];
  /** Seeds of the runs. If two settings have the same seeds, their runs are paired by seed. Default: unknown. */
  readonly seeds?: readonly number[] | undefined;
}

/** Difference between the losses of a setting and of the first setting. */
export interface SettingDifference {
  /**
   * Mean loss of this setting's runs minus mean loss of the first setting's runs, in nats per token. A value below 0
   * means that this setting predicts better.
   */
  readonly natsPerToken: number;
  /** The same difference in nats per character. */
  readonly natsPerCharacter: number;
  /**
   * Half the width of the 95% confidence interval around the difference. The interval covers other seeds and similar
   * texts. With one run per setting, it covers only similar texts. `null` if each setting has one run and the text has
   * fewer than 8 blocks.
   */
  readonly halfWidth95: HalfWidth | null;
  /**
   * p-value: the probability of a difference of at least this size if the settings were equal. `null` without an
   * interval.
   */
  readonly pValue: number | null;
  /** `pValue`, with the correction of Holm's method for the number of settings. */
  readonly adjustedPValue: number | null;
  /** Number of runs of this setting, and number of runs of the first setting. */
  readonly runs: readonly [own: number, first: number];
  /** Whether runs are paired by their seeds. */
  readonly paired: boolean;
  /**
   * Standard deviation between seeds, in nats per token. For paired runs, it is the deviation of their differences.
   * `null` with one run per setting.
   */
  readonly seedDeviation: number | null;
  /**
   * Number of seeds per setting for a power of 80%: 80 of 100 comparisons would detect a difference of this size.
   * `null` with one run per setting, if more than 100 seeds would be needed, or if only more text would help.
   */
  readonly seedsToSettle: number | null;
  /**
   * Number of blocks. A block consists of consecutive windows, and all blocks have about the same number of windows.
   */
  readonly blocks: number;
  /** Number of windows. */
  readonly windows: number;
}

/** A run's mean loss, and the difference between the loss of each block of the text and this mean. */
interface Profile {
  readonly mean: number;
  readonly blocks: readonly number[];
}

interface Measured {
  readonly profiles: readonly Profile[];
  readonly seeds: readonly number[] | undefined;
}

const mean = (numbers: readonly number[]): number => sumOf(numbers) / numbers.length;
const squares = (numbers: readonly number[]): number => sumOf(numbers.map((value) => value * value));

const meanProfile = (profiles: readonly Profile[]): Profile => ({
  mean: mean(profiles.map((profile) => profile.mean)),
  blocks: (profiles[0]?.blocks ?? []).map((_, i) => mean(profiles.map(({ blocks }) => blocks[i] ?? 0))),
});

const minus = (one: Profile, other: Profile): Profile => ({
  mean: one.mean - other.mean,
  blocks: one.blocks.map((value, i) => value - (other.blocks[i] ?? 0)),
});

const profileOf = (windows: readonly WindowLoss[], tokens: number): Profile => {
  const average = sumOf(windows.map(({ nats }) => nats)) / tokens;
  const blocks = Math.min(mostBlocks, windows.length);
  const rests = windows.map((window) => window.nats - average * window.tokens);
  return { mean: average, blocks: blocksOf(rests, blocks, tokens / blocks) };
};

/** Profiles of `other` in the order of the seeds of `one`. Undefined if the seeds are not the same. */
const pairedWith = (one: Measured, other: Measured): readonly Profile[] | undefined => {
  const { seeds } = one;
  if (seeds === undefined || other.seeds === undefined) return undefined;
  const bySeed = new Map(other.seeds.map((seed, i) => [seed, other.profiles[i]]));
  const isSame = bySeed.size === other.seeds.length && new Set(seeds).size === seeds.length;
  const paired = seeds.flatMap((seed) => bySeed.get(seed) ?? []);
  return isSame && seeds.length === other.seeds.length && paired.length === seeds.length ? paired : undefined;
};

/** Groups of runs with errors that add up: one group of paired differences, or one group for each setting. */
interface Groups {
  readonly paired: boolean;
  readonly groups: readonly (readonly Profile[])[];
}

const groupsOf = (own: Measured, first: Measured): Groups => {
  const partners = pairedWith(own, first);
  const isOne = own.profiles.length === 1 && first.profiles.length === 1;
  if (partners === undefined && !isOne) return { paired: false, groups: [own.profiles, first.profiles] };
  const others = partners ?? first.profiles;
  const differences = own.profiles.map((profile, i) => minus(profile, others[i] as Profile));
  return { paired: partners !== undefined, groups: [differences] };
};

/**
 * The part of the error that comes from the text. The mean over seeds still contains noise that is different for each
 * run and block. The text's share of the variance between blocks is 1 − (variance of this noise) / (variance between
 * blocks). This is the analysis of variance of a table with runs and blocks.
 */
const textError = (groups: readonly (readonly Profile[])[], difference: Profile, degrees: number) => {
  const { blocks } = difference;
  if (blocks.length < fewestBlocks) return [];
  const parts = errorOfMean(blocks);
  if (degrees === 0) return parts;
  const noise =
    sumOf(
      groups.map((profiles) => {
        const common = meanProfile(profiles);
        return sumOf(profiles.map((profile) => squares(minus(profile, common).blocks)));
      }),
    ) / degrees;
  const noiseOfMean = noise * sumOf(groups.map((profiles) => 1 / profiles.length));
  const share = Math.max(0, 1 - noiseOfMean / squares(blocks));
  return share === 0 ? [] : parts.map((part) => ({ ...part, scale: part.scale * Math.sqrt(share) }));
};

/** Compares two settings, without the correction for several settings. */
const compareTwo = (own: Measured, first: Measured, tokensPerCharacter: number, windows: number) => {
  const { paired, groups } = groupsOf(own, first);
  const difference = minus(meanProfile(own.profiles), meanProfile(first.profiles));
  const degrees = sumOf(groups.map((profiles) => profiles.length - 1));
  const text = textError(groups, difference, degrees);
  const variance =
    degrees === 0
      ? 0
      : sumOf(
          groups.map((profiles) => {
            const average = mean(profiles.map((profile) => profile.mean));
            return squares(profiles.map((profile) => profile.mean - average));
          }),
        ) / degrees;
  const deviation = Math.sqrt(variance);
  const scale = deviation * Math.sqrt(sumOf(groups.map((profiles) => 1 / profiles.length)));
  const seeds: readonly StudentPart[] = scale === 0 ? [] : [{ weight: 1, scale, degrees }];
  const { natsPerToken, blocks } = { natsPerToken: difference.mean, blocks: difference.blocks.length };
  const isKnown = degrees > 0 || blocks >= fewestBlocks;
  const within = withinSum(seeds, text);
  const start = Math.max(...[...seeds, ...text].map((part) => part.scale));
  const halfWidth = !isKnown ? null : seeds.length + text.length === 0 ? 0 : halfWidthOf(within, start);
  const isEqual = natsPerToken === 0;
  return {
    natsPerToken,
    natsPerCharacter: natsPerToken * tokensPerCharacter,
    halfWidth95:
      halfWidth === null ? null : { natsPerToken: halfWidth, natsPerCharacter: halfWidth * tokensPerCharacter },
    pValue: !isKnown ? null : isEqual ? 1 : Math.max(0, 1 - within(Math.abs(natsPerToken))),
    runs: [own.profiles.length, first.profiles.length] as const,
    paired,
    seedDeviation: degrees === 0 ? null : deviation,
    seedsToSettle:
      degrees === 0 || isEqual ? null : seedsToSettle(Math.abs(natsPerToken), deviation, paired ? 1 : 2, text),
    ...{ blocks, windows },
  };
};

const settingsOf = (where: string, settings: unknown): readonly MeasuredSetting[] => {
  if (!Array.isArray(settings) || settings.length < 2) {
    throw new ConfigError({ where, must: "must be a list of at least two settings", got: show(settings) });
  }
  return settings.map((setting: unknown, i) => {
    const place = `${where}[${i}]`;
    checkOptions(place, setting);
    const { evaluations, seeds } = setting as Readonly<Record<string, unknown>>;
    if (!Array.isArray(evaluations) || evaluations.length === 0) {
      const must = "must be a list of at least one evaluation";
      throw new ConfigError({ where: `${place}.evaluations`, must, got: show(evaluations) });
    }
    const isSeeds = Array.isArray(seeds) && seeds.length === evaluations.length && seeds.every(Number.isInteger);
    if (seeds !== undefined && !isSeeds) {
      const must = `must be a list of ${evaluations.length} whole numbers, one for each evaluation`;
      throw new ConfigError({ where: `${place}.seeds`, must, got: show(seeds) });
    }
    return setting as MeasuredSetting;
  });
};

/**
 * Compares settings with the first setting, on one text. The result shows whether other seeds and similar texts could
 * explain the difference of the losses. The statistical model of a run's loss is
 *
 *     loss of a setting's run in a block of the text = setting + seed + block + noise
 *
 * So a mean over seeds and blocks has two errors: one from the seeds and one from the text. Runs and blocks are
 * crossed, and both are random samples (Cornfield and Tukey 1956, "Average values of mean squares in factorials"; for
 * measurements, Owen 2007, "The pigeonhole bootstrap"):
 *
 * - Seeds: differences of runs paired by seed have Student's t distribution with k − 1 degrees of freedom. If the
 *   settings have different seeds, the distribution is the t distribution of two samples with one variance, with
 *   k₁ + k₂ − 2 degrees of freedom.
 * - Text: the error is computed as in `compareEvaluations`, from the mean over seeds. The error from the seeds already
 *   includes the noise of the runs. So the error from the text uses only the variance between blocks that this noise
 *   does not explain.
 * - The sum of both errors has the Behrens–Fisher distribution, which gives the interval and the p-value.
 *
 * With one run per setting, the effect of seeds is unknown. The interval is then the interval of `compareEvaluations`,
 * for these two models only.
 * @param settings at least two settings. The first setting is compared with each other setting.
 * @returns a difference for each setting except the first, in order.
 * @throws ConfigError for evaluations without windows, or with different windows.
 * @example
 * ```ts
 * import { compareRuns, evaluate, loadPretrained } from "foretoken";
 *
 * const lm = await loadPretrained("runs/notes/best");
 * const evaluations = [await evaluate(lm, { data: "notes.txt", windows: true })];
 * // Here both settings are one run; each would have several, with the same seeds.
 * const [difference] = compareRuns([{ evaluations, seeds: [1] }, { evaluations, seeds: [1] }]);
 * console.log(difference?.natsPerToken, difference?.halfWidth95, difference?.pValue, difference?.seedsToSettle);
 * await lm.close();
 * ```
 */
export const compareRuns = (settings: readonly MeasuredSetting[]): readonly SettingDifference[] => {
  const where = "compareRuns: settings";
  const checked = settingsOf(where, settings);
  const windows = checked.map(({ evaluations }, i) =>
    evaluations.map((one, k) => windowsOf(`${where}[${i}].evaluations[${k}]`, one)),
  );
  const reference = windows[0]?.[0] ?? [];
  const other = windows
    .flat()
    .find((one) => one.length !== reference.length || one.some(({ tokens }, i) => tokens !== reference[i]?.tokens));
  if (other !== undefined) {
    throw new ConfigError({
      where,
      must: "all evaluations must have the same windows",
      got: `${reference.length} windows of ${sumOf(reference.map(({ tokens }) => tokens))} tokens, and ${other.length} of ${sumOf(other.map(({ tokens }) => tokens))}`,
      hint: "the same text, contextLength and tokenizer",
    });
  }
  const tokens = sumOf(reference.map((window) => window.tokens));
  const [first, ...others] = windows.map(
    (runs, i): Measured => ({ profiles: runs.map((one) => profileOf(one, tokens)), seeds: checked[i]?.seeds }),
  ) as [Measured, ...Measured[]];
  const [evaluation] = (checked[0] as MeasuredSetting).evaluations as [Evaluation];
  const tokensPerCharacter = evaluation.natsPerCharacter / evaluation.natsPerToken;
  const differences = others.map((own) => compareTwo(own, first, tokensPerCharacter, reference.length));
  const adjusted = holm(differences.map(({ pValue }) => pValue));
  return differences.map((difference, i) => ({ ...difference, adjustedPValue: adjusted[i] ?? null }));
};
