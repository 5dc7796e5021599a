import { expect, it } from "vitest";
import { halfWidthOfMean, studentWithin } from "#foretoken/evaluate/half-width.js";

it.each([
  [1, 12.7062047],
  [2, 4.30265273],
  [7, 2.36462425],
  [8, 2.30600414],
  [15, 2.13144955],
])("Student's t with %d degrees of freedom is within its tabulated bound for 95%%", (degrees, bound) => {
  expect(studentWithin(bound, degrees)).toBeCloseTo(0.95, 8);
  expect(studentWithin(0, degrees)).toBe(0);
});

const blocks = [1, 2, 1.5, 3, 2, 2.5, 4, 3.5, 3, 1, 2, 2.2, 1.7, 3, 2.9, 1.1];

it("is what matrices and contrasts of another program give, and larger where neighbours are alike", () => {
  // These values were computed with NumPy 2 and SciPy: the inverse covariance of an orthonormal basis of contrasts, and
  // the t distribution.
  expect(halfWidthOfMean(blocks)).toBeCloseTo(2.29243552, 5);
  expect(halfWidthOfMean([...blocks].sort((a, b) => a - b))).toBeCloseTo(3.16897738, 5);
});

it("has the unit of the blocks, and does not depend on their mean", () => {
  const width = halfWidthOfMean(blocks);
  expect(halfWidthOfMean(blocks.map((value) => 100 + value)) / width).toBeCloseTo(1, 6);
  expect((1e12 * halfWidthOfMean(blocks.map((value) => value / 1e12))) / width).toBeCloseTo(1, 6);
  expect(halfWidthOfMean(blocks.map(() => 0))).toBe(0);
});
