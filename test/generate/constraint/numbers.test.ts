import { expect, test } from "vitest";
import { labelOf } from "#foretoken/generate/constraint/automata/dfa.js";
import { allNumbers, numbersDfa } from "#foretoken/generate/constraint/automata/numbers.js";

const bounds = [0, 1, -1, 0.5, -0.5, 10, 99, -120, 1.25, 1e-7, 123456.789, 2 ** 53];
const values = [
  0,
  0.1,
  0.25,
  0.49999999999,
  0.5,
  1,
  -1,
  -0.5,
  -0.75,
  1.25,
  1.3,
  9,
  10,
  11,
  98,
  99,
  100,
  -119,
  -120,
  -121,
  1e-7,
  2e-7,
  123456.79,
  123456.789,
  123457,
  2 ** 53,
  2 ** 53 - 1,
  2 ** 53 + 2,
];
const plain = (value: number): string => (Number.isInteger(value) ? `${value}` : value.toFixed(20).replace(/0+$/u, ""));
const shown = (value: number): string => (`${value}`.includes("e") ? plain(value) : `${value}`);

test.each(bounds)("numbers around %d are compared as numbers", (bound) => {
  const ranges = {
    minimum: (value: number) => value >= bound,
    maximum: (value: number) => value <= bound,
    exclusiveMinimum: (value: number) => value > bound,
    exclusiveMaximum: (value: number) => value < bound,
  };
  for (const [name, holds] of Object.entries(ranges)) {
    for (const integer of [false, true]) {
      const dfa = numbersDfa({ ...allNumbers, integer, [name]: bound }, "schema");
      for (const value of [...values, bound]) {
        const expected = holds(Number(shown(value))) && (!integer || Number.isInteger(value));
        expect([name, bound, shown(value), labelOf(dfa, shown(value)) === 0]).toEqual([
          name,
          bound,
          shown(value),
          expected,
        ]);
      }
    }
  }
});

test("numbers are whole multiples", () => {
  const dfa = numbersDfa({ ...allNumbers, integer: false, multiples: [6, 4] }, "schema");
  for (let value = 0; value < 50; value++)
    for (const text of [`${value}`, `${-value}`]) expect(labelOf(dfa, text) === 0).toBe(value % 12 === 0);
});

test("numbers are written as JSON does, and finite", () => {
  const dfa = numbersDfa(allNumbers, "schema");
  for (const text of ["0", "-0.5", "1e10", "1E-7", "12.5e+3"]) expect([text, labelOf(dfa, text)]).toEqual([text, 0]);
  for (const text of ["01", "+1", ".5", "1.", "1e999", "--1", "", "NaN"])
    expect([text, labelOf(dfa, text)]).toEqual([text, -1]);
});
