/** Counts how often `compareRuns` calls two settings different, in random groups from many runs. */
import { randomKey, randomStream } from "../../dist/core/random.js";
import { compareRuns } from "../../dist/evaluate/compare-runs.js";

const sumOf = (numbers) => numbers.reduce((sum, number) => sum + number, 0);

/** The losses of a run's windows as an evaluation, with only the fields that a comparison reads. */
const evaluationOf = ({ nats, tokens }) => {
  const natsPerToken = sumOf(nats) / sumOf(tokens);
  const windows = nats.map((value, i) => ({ nats: value, tokens: tokens[i] }));
  return {
    natsPerToken,
    natsPerCharacter: natsPerToken,
    bitsPerByte: 0,
    perplexity: 0,
    tokens: sumOf(tokens),
    windows,
  };
};

/** Draws `count` different elements of `items`. */
const draw = (items, count, { integer }) => {
  const rest = [...items];
  return Array.from({ length: count }, () => rest.splice(integer(rest.length), 1)[0]);
};

/** Seeds that both settings were trained with, and their losses. */
const partsOf = (runs) => {
  const [first, second] = ["first", "second"].map(
    (setting) => new Map(runs.filter((run) => run.setting === setting).map((run) => [run.seed, evaluationOf(run)])),
  );
  return { first, second, both: [...first.keys()].filter((seed) => second.has(seed)) };
};

const deviation = (numbers) => {
  const mean = sumOf(numbers) / numbers.length;
  return { mean, deviation: Math.sqrt(sumOf(numbers.map((value) => (value - mean) ** 2)) / (numbers.length - 1)) };
};

/** Means and standard deviations over seeds, and the correlation between runs with the same seed. */
export const noiseOf = (runs) => {
  const { first, second, both } = partsOf(runs);
  const of = (setting) => deviation([...setting.values()].map(({ natsPerToken }) => natsPerToken));
  const differences = deviation(both.map((seed) => second.get(seed).natsPerToken - first.get(seed).natsPerToken));
  const [one, other] = [of(first), of(second)];
  const shared = one.deviation ** 2 + other.deviation ** 2 - differences.deviation ** 2;
  return { one, other, differences, correlation: shared / (2 * one.deviation * other.deviation) };
};

/**
 * Draws pairs of settings and returns the fraction of pairs that the comparison reports as different.
 * @param runs as {setting: "first" or "second", seed, nats, tokens}
 * @returns `alike`: both groups have runs of the first setting with different seeds; `apart`: the groups have different
 * settings and equal seeds; `mean`: mean of the differences.
 */
export const calibrationOf = (runs, { draws, seeds, seed }) => {
  const { first, second, both } = partsOf(runs);
  const stream = randomStream(randomKey(seed, "sampling"));
  const numbers = Array.from({ length: seeds }, (_, i) => i);
  const compared = (one, other, paired) =>
    compareRuns([one, other].map((evaluations) => ({ evaluations, ...(paired ? { seeds: numbers } : {}) })))[0];
  const shareOf = (make) => {
    const found = Array.from({ length: draws }, make);
    return {
      share: found.filter(({ pValue }) => pValue < 0.05).length / draws,
      mean: sumOf(found.map(({ natsPerToken }) => natsPerToken)) / draws,
    };
  };
  const alike = (paired) => () => {
    const drawn = draw([...first.keys()], 2 * seeds, stream).map((one) => first.get(one));
    return compared(drawn.slice(0, seeds), drawn.slice(seeds), paired);
  };
  const apart = (paired) => () => {
    const drawn = draw(both, seeds, stream);
    const [one, other] = [first, second].map((setting) => drawn.map((key) => setting.get(key)));
    return compared(one, other, paired);
  };
  return {
    alike: { paired: shareOf(alike(true)), unpaired: shareOf(alike(false)) },
    apart: { paired: shareOf(apart(true)), unpaired: shareOf(apart(false)) },
  };
};
