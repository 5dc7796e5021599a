/** Makes a table from the measurements of train.mjs. */
import { tokensPerStep } from "./configs.mjs";
import { count, digits, mebibytes, median, ratioAndRange } from "./statistics.mjs";

/** PyTorch's fastest mode, for one dtype or over all dtypes. */
export const bestOfPyTorch = (results, dtype) =>
  results
    .filter((one) => one.kind === "pytorch" && (dtype === undefined || one.dtype === dtype))
    .sort((a, b) => a.milliseconds - b.milliseconds)[0];

/** The peer's time divided by the time of `one`, for each round. In a round, both are measured only seconds apart. */
export const ratiosOf = (peer, one) =>
  peer === undefined || one === undefined
    ? [Number.NaN]
    : one.times.map((time, round) => (peer.times[round] ?? peer.milliseconds) / time);

/** The median of the rounds' ratios. */
export const against = (peer, one) => median(ratiosOf(peer, one));

/** Rows of cells; the first row has the titles. */
export const trainingTable = ({ name, results }) => [
  ["", "ms a step", "range", "tokens/s", "peak memory", "× PyTorch, same dtype", "× PyTorch's best"],
  ...results.map((one) => [
    one.name,
    digits(one.milliseconds),
    `${digits(Math.min(...one.times))}–${digits(Math.max(...one.times))}`,
    count((1000 * tokensPerStep(name)) / one.milliseconds),
    mebibytes(one.peakMemory),
    ratioAndRange(ratiosOf(bestOfPyTorch(results, one.dtype), one)),
    ratioAndRange(ratiosOf(bestOfPyTorch(results), one)),
  ]),
];

/**
 * Time that dropout adds, as a share of the step's time, in each round. The list has one entry for each process with
 * dropout.
 */
export const dropoutCosts = (results) =>
  results
    .filter(({ dropout }) => dropout > 0)
    .flatMap((one) => {
      const { kind, dtype, dropout } = one;
      const without = results.find((other) => other.kind === kind && other.dtype === dtype && other.dropout === 0);
      if (without === undefined) return [];
      return [{ kind, dtype, dropout, shares: ratiosOf(without, one).map((ratio) => 1 / ratio - 1) }];
    });
