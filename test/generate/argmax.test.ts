import { expect, it } from "vitest";
import { argmax } from "#foretoken/generate/sampling/argmax.js";
import { randomFor } from "../support/forge.ts";

const oneByOne = (values: Float32Array): number =>
  values.reduce((best, value, i) => (value > (values[best] as number) ? i : best), 0);

it("finds the first of the largest values, in any place and in any length", () => {
  const random = randomFor("argmax", 0);
  for (let length = 1; length <= 40; length++) {
    for (let round = 0; round < 20; round++) {
      // Few different values, so that the largest is often there twice.
      const values = Float32Array.from({ length }, () => random.below(7) - 3);
      expect(argmax(values), `${values}`).toBe(oneByOne(values));
    }
  }
});

it.each([
  ["NaN is not larger", [1, Number.NaN, 2, Number.NaN], 2],
  ["nothing is larger than NaN", [Number.NaN, 1, 2], 0],
  ["infinity", [0, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 1], 2],
  ["only minus infinity", new Array(9).fill(Number.NEGATIVE_INFINITY), 0],
  ["zeros of both signs are equal", [-0, 0], 0],
])("%s", (_, values, index) => expect(argmax(Float32Array.from(values))).toBe(index));
