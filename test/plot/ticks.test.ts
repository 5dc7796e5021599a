import fc from "fast-check";
import { expect, test } from "vitest";
import { linearAxis, linearTicks, logAxis, logTicks } from "#foretoken/plot/ticks.js";

const labels = ({ ticks, labelOf }: ReturnType<typeof linearAxis>): readonly string[] => ticks.map(labelOf);

test.each([
  [0, 3000, ["0", "500", "1,000", "1,500", "2,000", "2,500", "3,000"]],
  [0, 100_000, ["0", "20k", "40k", "60k", "80k", "100k"]],
  [0, 2_500_000_000, ["0", "0.5G", "1G", "1.5G", "2G", "2.5G"]],
  [0, 3e-4, ["0", "5e-5", "1e-4", "1.5e-4", "2e-4", "2.5e-4", "3e-4"]],
  [0, 2, ["0", "0.5", "1", "1.5", "2"]],
])("an axis from %d to %d has round values", (low, high, expected) => {
  expect(labels(linearAxis(low, high, { ticks: 6, fromZero: true }))).toEqual(expected);
});

test("an axis of steps marks whole ones alone", () => {
  expect(labels(linearAxis(0, 3, { ticks: 6, fromZero: true, whole: true }))).toEqual(["0", "1", "2", "3"]);
  expect(labels(linearAxis(0, 1, { ticks: 6, fromZero: true, whole: true }))).toEqual(["0", "1"]);
});

test.each([
  [1e-4, 100, ["0.0001", "0.01", "1", "100"]],
  [1, 1000, ["1", "10", "100", "1,000"]],
  [1.4, 4.4, ["2", "3", "4"]],
])("a logarithmic axis from %d to %d has round values", (low, high, expected) => {
  expect(labels(logAxis(low, high, 6))).toEqual(expected);
});

test("round numbers within a range, for an axis that has its own", () => {
  expect(linearTicks(0, 10, 5)).toEqual([0, 2, 4, 6, 8, 10]);
  expect(linearTicks(0.5, 1.5, 10, 1)).toEqual([1]);
  expect(linearTicks(0.1, 0.4, 3)).toEqual([0.1, 0.2, 0.3, 0.4]);
  expect(logTicks(0.001, 10, 6)).toEqual([0.001, 0.01, 0.1, 1, 10]);
  expect(logTicks(1.3, 4.2, 6)).toEqual([1.5, 2, 2.5, 3, 3.5, 4]);
});

const number = fc.double({ noNaN: true, min: -1e300, max: 1e300 });

test("an axis of any numbers has its ticks in order and within it, few of them, with a label each", () => {
  fc.assert(
    fc.property(number, number, fc.boolean(), fc.boolean(), (one, other, fromZero, log) => {
      const [low, high] = [Math.min(one, other), Math.max(one, other)];
      if (log && low <= 1e-300) return;
      const axis = log ? logAxis(low, high, 6) : linearAxis(low, high, { ticks: 6, fromZero });
      expect(axis.ticks.length).toBeLessThanOrEqual(9);
      for (const value of [low, high, ...axis.ticks]) {
        const place = axis.placeOf(value);
        expect(place).toBeGreaterThan(-0.01);
        expect(place).toBeLessThan(1.01);
      }
      for (const [i, tick] of axis.ticks.entries())
        expect(tick).toBeGreaterThan(axis.ticks[i - 1] ?? Number.NEGATIVE_INFINITY);
      for (const label of labels(axis)) expect(label).toMatch(/^-?[\d.,]+(?:e[+-]?\d+|[kMGT])?$/u);
    }),
    { numRuns: 500, examples: [[-9.999999999935002e299, -9.999999999965e299, true, false]] },
  );
});
