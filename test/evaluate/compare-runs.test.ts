import { describe, expect, it } from "vitest";
import { type RandomStream, randomKey, randomStream } from "#foretoken/core/random.js";
import { holm } from "#foretoken/evaluate/holm.js";
import { withinSum } from "#foretoken/evaluate/sum-of-errors.js";
import { compareEvaluations, compareRuns, type MeasuredSetting } from "#foretoken/index.js";

const tokens = 100;

const evaluationOf = (losses: readonly number[]) => {
  const windows = losses.map((loss) => ({ nats: loss * tokens, tokens }));
  const natsPerToken = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  const figures = { natsPerToken, natsPerCharacter: natsPerToken / 2, bitsPerByte: 1, perplexity: 1 };
  return { ...figures, tokens: tokens * losses.length, windows };
};

/** A loss is a sum of random parts. These are the standard deviations of the parts. */
interface Chance {
  readonly seeds: number;
  /** Part that depends on the run, and is the same in all windows. */
  readonly run: number;
  /** Part that depends on the seed, and is the same in both settings. */
  readonly seed?: number;
  /** Part that depends on the run and on the window. */
  readonly noise: number;
  /** Difference that is added to the losses of the second setting. */
  readonly worse?: number;
}

const normals = (count: number, deviation: number, { normal }: RandomStream): readonly number[] =>
  Array.from({ length: count }, () => deviation * normal());

/** Runs of two settings, measured on 32 windows. */
const drawn = (stream: RandomStream, { seeds, run, seed = 0, noise, worse = 0 }: Chance) => {
  const hard = normals(32, 0.3, stream);
  const common = normals(seeds, seed, stream);
  const setting = (level: number): MeasuredSetting => ({
    evaluations: common.map((shared) => {
      const mean = 1.5 + level + shared + run * stream.normal();
      return evaluationOf(hard.map((value) => mean + value + noise * stream.normal()));
    }),
    seeds: common.map((_, i) => i),
  });
  return [setting(0), setting(worse)] as const;
};

const shareFound = (chance: Chance, count: number, seed: number, change = (setting: MeasuredSetting) => setting) => {
  const stream = randomStream(randomKey(seed, "sampling"));
  const found = Array.from({ length: count }, () => compareRuns(drawn(stream, chance).map(change))[0]?.pValue ?? 1);
  return found.filter((p) => p < 0.05).length / count;
};
const withoutSeeds = ({ evaluations }: MeasuredSetting): MeasuredSetting => ({ evaluations });

describe("compareRuns", () => {
  it("is the t interval of the pairs' differences, where each block has the same one", () => {
    const one = { evaluations: [1, 1.1, 1.3].map((loss) => evaluationOf(Array(16).fill(loss))), seeds: [1, 2, 3] };
    // The order of the runs has no effect, because the seeds determine the pairs.
    const other = { evaluations: [1.6, 1.3, 1.4].map((loss) => evaluationOf(Array(16).fill(loss))), seeds: [3, 1, 2] };
    const [found] = compareRuns([one, other]);
    expect(found).toMatchObject({
      paired: true,
      runs: [3, 3],
      blocks: 16,
      windows: 16,
      seedDeviation: expect.any(Number),
    });
    expect(found?.natsPerToken).toBeCloseTo(0.3, 12);
    expect(found?.natsPerCharacter).toBeCloseTo(0.15, 12);
    expect(found?.seedDeviation).toBeCloseTo(0, 12);
    const uneven = { ...other, evaluations: [1.5, 1.3, 1.6].map((loss) => evaluationOf(Array(16).fill(loss))) };
    // Differences 0.2, 0.3 and 0.5: their mean ± 4.3027 · 0.152753 / √3.
    const [wider] = compareRuns([one, uneven]);
    expect(wider?.natsPerToken).toBeCloseTo(1 / 3, 12);
    expect(wider?.seedDeviation).toBeCloseTo(0.152753, 6);
    expect(wider?.halfWidth95?.natsPerToken).toBeCloseTo(0.37946, 5);
    // With two degrees of freedom, p = 1 − t / √(t² + 2), where t = 3.7796.
    expect(wider?.pValue).toBeCloseTo(0.063414, 5);
  });

  it("is Student's test of two samples where the seeds are others, also with one run on one side", () => {
    const losses = (...values: number[]) => values.map((loss) => evaluationOf(Array(16).fill(loss)));
    const [found] = compareRuns([{ evaluations: losses(1, 1.1, 1.2) }, { evaluations: losses(1.3, 1.4, 1.5) }]);
    // Standard deviation 0.1 in both: 0.3 ± 2.776445 · 0.1 · √(2/3).
    expect(found).toMatchObject({ paired: false, runs: [3, 3] });
    expect(found?.halfWidth95?.natsPerToken).toBeCloseTo(0.226696, 5);
    expect(found?.pValue).toBeCloseTo(0.021312, 5);
    const [alone] = compareRuns([{ evaluations: losses(1, 1.1, 1.2) }, { evaluations: losses(1.3) }]);
    expect(alone).toMatchObject({ paired: false, runs: [1, 3] });
    // The value is 0.1 · √(1 + 1/3), with two degrees of freedom.
    expect(alone?.halfWidth95?.natsPerToken).toBeCloseTo(4.302653 * 0.1 * Math.sqrt(4 / 3), 5);
  });

  it("is compareEvaluations for one run of each, and tells nothing of seeds", () => {
    const [one, other] = drawn(randomStream(randomKey(3, "sampling")), { seeds: 1, run: 0.01, noise: 0.05 });
    const [found] = compareRuns([one, other]);
    const expected = compareEvaluations(other.evaluations[0] as never, one.evaluations[0] as never);
    expect(found?.natsPerToken).toBeCloseTo(expected.natsPerToken, 12);
    expect(found?.halfWidth95?.natsPerToken).toBeCloseTo(expected.halfWidth95?.natsPerToken ?? 0, 6);
    expect(found).toMatchObject({ seedDeviation: null, seedsToSettle: null, runs: [1, 1], paired: true });
  });

  it("has no interval for one run of each on a short text; with seeds it has theirs", () => {
    const short = (loss: number) => evaluationOf([loss, loss + 0.1, loss]);
    const [none] = compareRuns([{ evaluations: [short(1)] }, { evaluations: [short(2)] }]);
    expect(none).toMatchObject({ halfWidth95: null, pValue: null, adjustedPValue: null, blocks: 3 });
    const [known] = compareRuns([{ evaluations: [short(1), short(1.1)] }, { evaluations: [short(2), short(2.1)] }]);
    expect(known?.halfWidth95?.natsPerToken).toBeGreaterThan(0);
  });

  it("finds no difference between a setting and itself", () => {
    const evaluations = [evaluationOf([1, 2, 3]), evaluationOf([1.5, 2, 3])];
    const [found] = compareRuns([
      { evaluations, seeds: [1, 2] },
      { evaluations, seeds: [1, 2] },
    ]);
    expect(found).toMatchObject({ natsPerToken: 0, pValue: 1, adjustedPValue: 1, halfWidth95: { natsPerToken: 0 } });
  });

  it("calls about one of twenty pairs of one setting different, paired or not, and fewer where noise is in the text", () => {
    const share = shareFound({ seeds: 3, run: 0.01, noise: 0.01 }, 150, 3);
    expect(share).toBeGreaterThan(0.01);
    expect(share).toBeLessThan(0.09);
    expect(shareFound({ seeds: 3, run: 0.01, noise: 0.01 }, 100, 1, withoutSeeds)).toBeLessThan(0.1);
    expect(shareFound({ seeds: 3, run: 0.001, noise: 0.2 }, 60, 2)).toBeLessThan(0.1);
  });

  it("finds a difference that is large beside the noise, and more easily where seeds are paired", () => {
    const chance = { seeds: 3, run: 0.002, seed: 0.02, noise: 0.005, worse: 0.02 };
    expect(shareFound(chance, 40, 4)).toBeGreaterThan(0.8);
    expect(shareFound(chance, 40, 4, withoutSeeds)).toBeLessThan(0.5);
  });

  it("tells how many seeds would settle a difference: with so many it is found four times of five", () => {
    const chance = { run: 0.01, noise: 0.01, worse: 0.015 };
    const stream = randomStream(randomKey(5, "sampling"));
    const numbers = Array.from(
      { length: 30 },
      () => compareRuns(drawn(stream, { ...chance, seeds: 5 }))[0]?.seedsToSettle ?? 100,
    ).sort((a, b) => a - b);
    const seeds = numbers[15] ?? 0;
    expect(seeds).toBeGreaterThan(5);
    expect(seeds).toBeLessThan(20);
    expect(shareFound({ ...chance, seeds }, 60, 6)).toBeGreaterThan(0.65);
  });

  it("corrects the p-values of several settings", () => {
    const stream = randomStream(randomKey(7, "sampling"));
    const [first, second] = drawn(stream, { seeds: 3, run: 0.01, noise: 0.01 });
    const third = drawn(stream, { seeds: 3, run: 0.01, noise: 0.01, worse: 0.3 })[1];
    const found = compareRuns([first, second, third]);
    expect(found.map(({ adjustedPValue }) => adjustedPValue)).toEqual(holm(found.map(({ pValue }) => pValue)));
    expect(found[1]?.adjustedPValue).toBeCloseTo(2 * (found[1]?.pValue ?? 0), 12);
  });

  it("refuses other windows, seeds of another number, and one setting", () => {
    const of = (...losses: number[]) => ({ evaluations: [evaluationOf(losses)] });
    expect(() => compareRuns([of(1, 2), of(1, 2, 3)])).toThrow(
      /same windows; got 2 windows of 200 tokens, and 3 of 300/u,
    );
    expect(() => compareRuns([of(1), { ...of(1), seeds: [1, 2] }])).toThrow(/\[1\]\.seeds: must be a list of 1 whole/u);
    expect(() => compareRuns([of(1)])).toThrow(/at least two settings/u);
    expect(() => compareRuns([of(1), { evaluations: [] }])).toThrow(/\[1\]\.evaluations: .*at least one/u);
  });
});

it("the sum of two errors is that of Behrens and Fisher, and of one error its own", () => {
  const t = (scale: number, degrees: number) => [{ weight: 1, scale, degrees }];
  expect(withinSum(t(1, 2), [])(4.30265273)).toBeCloseTo(0.95, 8);
  expect(withinSum([], t(2, 15))(2 * 2.13144955)).toBeCloseTo(0.95, 8);
  // For 6 and 6 degrees of freedom and θ = 45°, the value is 2.435 (Fisher and Yates, "Statistical tables", table VI).
  const within = withinSum(t(Math.SQRT1_2, 6), t(Math.SQRT1_2, 6));
  expect(within(2.435)).toBeCloseTo(0.95, 3);
  // If one error is far smaller, the result follows the distribution of the larger error.
  expect(withinSum(t(1e-6, 2), t(1, 15))(2.13144955)).toBeCloseTo(0.95, 3);
  expect(withinSum(t(1, 2), t(1e-6, 15))(4.30265273)).toBeCloseTo(0.95, 3);
  expect(withinSum(t(1e-6, 15), t(1, 2))(4.30265273)).toBeCloseTo(0.95, 3);
});

it("Holm's correction multiplies the smallest p by their number, and keeps the order", () => {
  const found = holm([0.04, 0.01, null, 0.03, 0.9]);
  expect(found.map((value) => value && Number(value.toFixed(9)))).toEqual([0.09, 0.04, null, 0.09, 0.9]);
});
