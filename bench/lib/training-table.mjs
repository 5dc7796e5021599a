/** What train.mjs measured, as a table. */
import { tokensPerStep } from "./configs.mjs";
import { count, digits, mebibytes, median, ratio } from "./statistics.mjs";

/** The fastest way of PyTorch: of a dtype, or of all. */
export const bestOfPyTorch = (results, dtype) =>
  results
    .filter((one) => one.kind === "pytorch" && (dtype === undefined || one.dtype === dtype))
    .sort((a, b) => a.milliseconds - b.milliseconds)[0];

/** A peer's time over `one`'s: the median of the rounds' ratios, since within a round both were measured within seconds. */
export const against = (peer, one) =>
  peer === undefined || one === undefined
    ? Number.NaN
    : median(one.times.map((time, round) => (peer.times[round] ?? peer.milliseconds) / time));

/** Rows of cells, the titles first. */
export const trainingTable = ({ name, results }) => [
  ["", "ms a step", "range", "tokens/s", "peak memory", "× PyTorch, same dtype", "× PyTorch's best"],
  ...results.map((one) => [
    one.name,
    digits(one.milliseconds),
    `${digits(Math.min(...one.times))}–${digits(Math.max(...one.times))}`,
    count((1000 * tokensPerStep(name)) / one.milliseconds),
    mebibytes(one.peakMemory),
    ratio(against(bestOfPyTorch(results, one.dtype), one)),
    ratio(against(bestOfPyTorch(results), one)),
  ]),
];

/** What dropout adds to a step, as a share of it, for each process that had it. */
export const dropoutCosts = (results) =>
  results
    .filter(({ dropout }) => dropout > 0)
    .flatMap((one) => {
      const { kind, dtype, dropout } = one;
      const without = results.find((other) => other.kind === kind && other.dtype === dtype && other.dropout === 0);
      return without === undefined ? [] : [{ kind, dtype, dropout, share: 1 / against(without, one) - 1 }];
    });
