/** What train.mjs measured, as a table. */
import { tokensPerStep } from "./configs.mjs";
import { count, digits, mebibytes, median, ratioAndRange } from "./statistics.mjs";

/** The fastest way of PyTorch: of a dtype, or of all. */
export const bestOfPyTorch = (results, dtype) =>
  results
    .filter((one) => one.kind === "pytorch" && (dtype === undefined || one.dtype === dtype))
    .sort((a, b) => a.milliseconds - b.milliseconds)[0];

/** A peer's time over `one`'s, round by round: within a round both were measured within seconds. */
export const ratiosOf = (peer, one) =>
  peer === undefined || one === undefined
    ? [Number.NaN]
    : one.times.map((time, round) => (peer.times[round] ?? peer.milliseconds) / time);

/** The median of these. */
export const against = (peer, one) => median(ratiosOf(peer, one));

/** Rows of cells, the titles first. */
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

/** What dropout adds to a step, as shares of it in each round, for each process that had it. */
export const dropoutCosts = (results) =>
  results
    .filter(({ dropout }) => dropout > 0)
    .flatMap((one) => {
      const { kind, dtype, dropout } = one;
      const without = results.find((other) => other.kind === kind && other.dtype === dtype && other.dropout === 0);
      if (without === undefined) return [];
      return [{ kind, dtype, dropout, shares: ratiosOf(without, one).map((ratio) => 1 / ratio - 1) }];
    });
