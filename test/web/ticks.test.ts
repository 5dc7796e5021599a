import { describe, expect, it } from "vitest";
import { linearTicks, logTicks } from "#foretoken/plot/ticks.js";
import { marksOf, stepAxis, tickTexts, timeAxis, tokenAxis, xMarks } from "../../web/chart/ticks.ts";

describe("the marks of an axis", () => {
  it.each([
    [
      [3, 3.5, 4, 4.5],
      ["3.0", "3.5", "4.0", "4.5"],
    ],
    [
      [4.39, 4.4, 4.41, 4.42],
      ["4.39", "4.40", "4.41", "4.42"],
    ],
    [
      [0, 5000, 10_000, 15_000],
      ["0", "5 K", "10 K", "15 K"],
    ],
    [
      [0, 2.5e5, 5e5, 7.5e5, 1e6, 1.25e6],
      ["0", "0.25 M", "0.50 M", "0.75 M", "1.00 M", "1.25 M"],
    ],
    [
      [0, 1e-4, 2e-4, 3e-4],
      ["0", "1e−4", "2e−4", "3e−4"],
    ],
    [
      [0, 5e-4, 1e-3],
      ["0", "0.0005", "0.0010"],
    ],
    [
      [0, 5e29, 1e30],
      ["0", "0.5e30", "1.0e30"],
    ],
    [
      [-1, -0.5, 0, 0.5],
      ["-1.0", "-0.5", "0", "0.5"],
    ],
    [[0], ["0"]],
    [[], []],
  ])("%j have one unit and one number of decimals", (values, texts) => {
    expect(tickTexts(values)).toEqual(texts);
  });

  it("of a logarithmic axis are each as short as they can be", () => {
    expect(tickTexts([0.5, 1, 2, 5, 10])).toEqual(["0.5", "1", "2", "5", "10"]);
    expect(tickTexts([1e-4, 1e-2, 1, 100, 10_000])).toEqual(["1e−4", "0.01", "1", "100", "10 K"]);
  });

  it("can be told apart on every axis", () => {
    for (let power = -12; power <= 12; power++) {
      for (const [low, high] of [
        [0, 1],
        [1, 3.7],
        [0.98, 1],
        [9.999, 10.003],
        [-3, 8],
      ] as const) {
        const [from, to] = [low * 10 ** power, high * 10 ** power];
        for (const ticks of [linearTicks(from, to, 6), low > 0 ? logTicks(from, to, 6) : []])
          expect(new Set(tickTexts(ticks)).size).toBe(ticks.length);
      }
    }
  });

  it("of a time are round in its unit", () => {
    const textsFor = (high: number) => timeAxis.texts(xMarks(timeAxis, [0, high], 5));
    expect(textsFor(100)).toEqual(["0", "20 s", "40 s", "60 s", "80 s", "100 s"]);
    expect(textsFor(1500)).toEqual(["0", "5 min", "10 min", "15 min", "20 min", "25 min"]);
    expect(textsFor(9000)).toEqual(["0", "0.5 h", "1.0 h", "1.5 h", "2.0 h", "2.5 h"]);
    expect(timeAxis.text(5400)).toBe("90 min");
  });

  it("are three at least, where whole numbers allow it", () => {
    expect(marksOf([50, 800], 3.6)).toEqual([200, 400, 600, 800]);
    expect(marksOf([0, 100], 5)).toEqual([0, 20, 40, 60, 80, 100]);
    expect(xMarks(stepAxis, [1, 2], 4)).toEqual([1, 2]);
  });

  it("of steps have commas, and of millions a unit", () => {
    expect(stepAxis.texts([5000, 10_000])).toEqual(["5,000", "10,000"]);
    expect(stepAxis.texts([500_000, 1_000_000])).toEqual(["0.5 M", "1.0 M"]);
    expect(tokenAxis.text(12_000)).toBe("12 K");
  });
});
