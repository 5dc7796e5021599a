import { expect, test } from "vitest";
import { labelOf } from "#foretoken/generate/constraint/automata/dfa.js";
import { allNumbers, type NumberRange, numbersDfa } from "#foretoken/generate/constraint/automata/numbers.js";
import { accepts } from "../../support/constrained.ts";

const bounds = [0, 1, -1, 0.5, -0.5, 10, 99, -120, 1.25, 1e-7, 123456.789, 2 ** 53, 1e20, -9.5e20];
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
  // A larger bound may be the rounded value of another number.
  const isExact = Math.abs(bound) <= Number.MAX_SAFE_INTEGER;
  const ranges = {
    minimum: (value: number) => value > bound || (isExact && value === bound),
    maximum: (value: number) => value < bound || (isExact && value === bound),
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

test("bounds of any size are compared, and those beyond all numbers are refused by name", () => {
  const texts = [
    "-999999999999999999999",
    "-1",
    "-0.00000000000000000001",
    "0",
    "0.00000000000000000001",
    "1.5",
    "999999999999999999999",
  ];
  const allowed = (range: Partial<NumberRange>): boolean[] => {
    const dfa = numbersDfa({ ...allNumbers, ...range }, "schema");
    return texts.map((text) => labelOf(dfa, text) === 0);
  };
  const all = texts.map(() => true);
  for (const size of [1.1e21, 1e300]) {
    expect(allowed({ minimum: -size })).toEqual(all);
    expect(allowed({ maximum: size, exclusiveMinimum: -10 * size })).toEqual(all);
  }
  for (const size of [1e-21, 1e-300, Number.MIN_VALUE]) {
    expect(allowed({ minimum: size })).toEqual([false, false, false, false, true, true, true]);
    expect(allowed({ exclusiveMaximum: size })).toEqual([true, true, true, true, false, false, false]);
    expect(allowed({ maximum: -size })).toEqual([true, true, true, false, false, false, false]);
  }
  const written = "numbers are written with at most 21 digits before the point";
  for (const [range, message] of [
    [{ minimum: 1e300 }, `schema: minimum must be below 1e21: ${written}; got 1e+300`],
    [{ exclusiveMinimum: 1e21 }, `schema: exclusiveMinimum must be below 1e21: ${written}; got 1e+21`],
    [{ maximum: -1e22 }, `schema: maximum must be above -1e21: ${written}; got -1e+22`],
  ] as const) {
    expect(() => allowed(range)).toThrow(message);
  }
});

test("numbers from 0 on have no minus, which only a zero could follow", () => {
  const dfa = numbersDfa({ ...allNumbers, minimum: 0 }, "schema");
  for (const text of ["-", "-0", "-0.0"]) expect([text, labelOf(dfa, text)]).toEqual([text, -1]);
});

test("numbers that are left out are so in all their spellings", () => {
  const schema = { type: "number", not: { enum: [1, 0, -0.1] } };
  for (const text of ["1", "1.0", "1e0", "10e-1", "0", "-0", "0.00", "0e5", "-0.1", "-0.10", "-0.10000000000000000555"])
    expect([text, accepts({ kind: "jsonSchema", schema }, text)]).toEqual([text, false]);
  for (const text of ["1.1", "0.99", "10", "2", "-1", "0.1", "-0.11", "-0.09", "0.01"])
    expect([text, accepts({ kind: "jsonSchema", schema }, text)]).toEqual([text, true]);
});

test("numbers keep to a bound that was rounded when it was read", () => {
  // Schemas contain the maximum int64 and uint64. JavaScript rounds these numbers to the next powers of two.
  for (const text of ["9223372036854775807", "18446744073709551615", "9007199254740993"]) {
    const exact = BigInt(text);
    const dfa = (range: Partial<NumberRange>) => numbersDfa({ ...allNumbers, integer: true, ...range }, "schema");
    const isIn = (range: Partial<NumberRange>, value: bigint): boolean => labelOf(dfa(range), `${value}`) === 0;
    const bound = Number(text);
    for (let far = 0n; far < 5000n; far += 7n) {
      if (isIn({ maximum: bound }, exact + far)) expect(exact + far).toBe(exact);
      if (isIn({ minimum: -bound }, -exact - far)) expect(exact + far).toBe(exact);
      expect(isIn({ minimum: bound }, exact - 1n - far)).toBe(false);
      expect(isIn({ exclusiveMaximum: bound }, exact + far)).toBe(false);
      expect(isIn({ exclusiveMinimum: bound }, exact - far)).toBe(false);
    }
    expect(isIn({ maximum: bound }, exact - 5000n)).toBe(true);
    expect(isIn({ minimum: bound }, exact + 5000n)).toBe(true);
  }
});
