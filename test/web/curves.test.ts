import { describe, expect, it } from "vitest";
import {
  type Curve,
  drawnCurve,
  extentOf,
  heightsOf,
  nearestX,
  plannedEnd,
  rangeOf,
  valueAt,
} from "../../web/chart/curve.ts";
import {
  endOf,
  fittingNames,
  type LabelPlace,
  moveOffLines,
  placeLabels,
  shortName,
  shortNames,
} from "../../web/chart/labels.ts";
import { blockSize, createMedians } from "../../web/chart/medians.ts";
import { createPyramid } from "../../web/chart/pyramid.ts";
import { fileName } from "../../web/chart/save.ts";
import { createSmoother } from "../../web/chart/smooth.ts";
import { svgOf } from "../../web/chart/svg.ts";
import { createTable, lowerBound } from "../../web/chart/table.ts";
import { stepAxis } from "../../web/chart/ticks.ts";
import { hashInteger } from "../support/hash.ts";

const noise = (length: number): Float64Array =>
  Float64Array.from({ length }, (_, i) => 2 + hashInteger("noise", i, 1000) / 1000);

const style = { color: "--ink", dash: [], width: 1, marks: false } as const;

const curveOf = (y: Float64Array, window = 1): Curve => ({
  ...{ key: "loss", label: "loss", style, y, length: y.length },
  x: Float64Array.from(y, (_, i) => i + 1),
  pyramid: createPyramid(),
  smoothed: createSmoother().take(y, y.length, window),
});

describe("a curve that is longer than the chart is wide", () => {
  it("keeps a single extreme among 100,000 values, with few points", () => {
    const y = noise(100_000);
    y[71_233] = 40;
    y[12_345] = -3;
    const { line } = drawnCurve(curveOf(y), [1, 100_000], 800);
    expect(line.x.length).toBeLessThanOrEqual(3200);
    expect(Math.max(...line.y)).toBe(40);
    expect(Math.min(...line.y)).toBe(-3);
    expect(line.x[line.y.indexOf(40)]).toBe(71_234);
  });

  it("keeps it in the band behind a smoothed line too", () => {
    const y = noise(100_000);
    y[71_233] = 40;
    const { line, band } = drawnCurve(curveOf(y, 500), [1, 100_000], 800);
    expect(Math.max(...line.y)).toBeLessThan(10);
    expect(Math.max(...(band?.high ?? []))).toBe(40);
    expect(band?.x.at(0)).toBe(1);
    expect(band?.x.at(-1)).toBe(100_000);
  });

  it("draws the part that is zoomed into with all its values", () => {
    const y = noise(100_000);
    const { line } = drawnCurve(curveOf(y), [500, 600], 800);
    expect(line.x).toEqual(Array.from({ length: 103 }, (_, i) => 499 + i));
    expect(line.y).toEqual([...y.subarray(498, 601)]);
  });

  it("has the same buckets whether its values came at once or one by one", () => {
    const y = noise(1000);
    const growing = createPyramid();
    for (let length = 1; length <= y.length; length++) growing.extend(y, length);
    const atOnce = createPyramid();
    atOnce.extend(y, y.length);
    for (const [level, index] of [
      [1, 499],
      [4, 30],
      [7, 7],
      [9, 1],
    ] as const) {
      expect(growing.bucket(y, 1000, level, index)).toEqual(atOnce.bucket(y, 1000, level, index));
    }
  });

  it("forgets values that a resumed run takes again", () => {
    const y = noise(1000);
    const pyramid = createPyramid();
    y[900] = 99;
    pyramid.extend(y, 1000);
    pyramid.truncate(890);
    y[900] = 2.5;
    pyramid.extend(y, 1000);
    const { max } = pyramid.bucket(y, 1000, 6, Math.floor(900 / 64));
    expect(y[max]).toBeLessThan(4);
  });

  it("passes over values that are not finite", () => {
    const y = Float64Array.from([1, Number.NaN, 3, Number.NaN]);
    const pyramid = createPyramid();
    pyramid.extend(y, 4);
    expect(pyramid.bucket(y, 4, 2, 0)).toEqual({ min: 0, max: 2 });
  });
});

describe("smoothing", () => {
  it("is the mean of the last values, with their extremes, whenever values come", () => {
    const y = noise(50);
    const smoother = createSmoother();
    for (const length of [1, 7, 8, 31, 50]) smoother.take(y, length, 9);
    smoother.truncate(24);
    const smoothed = smoother.take(y, 50, 9);
    for (let i = 0; i < 50; i++) {
      const last = [...y.subarray(Math.max(0, i - 8), i + 1)];
      expect(smoothed?.mean[i]).toBeCloseTo(last.reduce((a, b) => a + b, 0) / last.length, 12);
      expect(smoothed?.low[i]).toBe(Math.min(...last));
      expect(smoothed?.high[i]).toBe(Math.max(...last));
    }
  });

  it("draws a line that never leaves its band, where a loss falls steeply too", () => {
    const y = noise(5000).map((value, i) => value / 50 + 3 * Math.exp(-i / 15));
    for (const [length, window, from, columns] of [
      [60, 50, 1, 800],
      [60, 50, 17, 800],
      [5000, 50, 1, 300],
      [5000, 3, 1, 100],
      [4990, 1000, 700, 100],
    ] as const) {
      const curve = curveOf(y.slice(0, length), window);
      const { line, band } = drawnCurve(curve, [from, length], columns);
      expect(band?.x).toEqual(line.x);
      for (const [i, mean] of line.y.entries()) {
        expect(mean).toBeLessThanOrEqual((band?.high[i] ?? Number.NaN) + 1e-12);
        expect(mean).toBeGreaterThanOrEqual((band?.low[i] ?? Number.NaN) - 1e-12);
      }
      expect(line.x.at(-1)).toBe(length);
      // The line ends at the value that the readout shows at this place.
      expect(valueAt(curve, length)?.mean).toBe(line.y.at(-1));
    }
  });

  it("keeps its digits after a huge value, and passes over one that is not finite", () => {
    const y = Float64Array.from([1e30, Number.NaN, 0.5, 0.25]);
    const smoothed = createSmoother().take(y, 4, 3);
    expect(smoothed?.mean[1]).toBe(1e30);
    expect(smoothed?.mean[3]).toBe(0.375);
  });

  it("begins at the first value, and is none for a window of 1", () => {
    const y = noise(5);
    expect(createSmoother().take(y, 5, 20)?.mean[0]).toBeCloseTo(y[0] as number, 12);
    expect(createSmoother().take(y, 5, 1)).toBeUndefined();
  });
});

describe("medians of blocks", () => {
  const x = Array.from({ length: 1000 }, (_, i) => i + 1);

  it("leave out single values that jump, and are the line of a whole curve", () => {
    const y = noise(1000).map((value, i) => (i % 5 === 0 ? 100 : value));
    const medians = createMedians().take(x, y, 1000);
    const { line } = drawnCurve({ ...curveOf(y), medians }, [1, 1000], 300);
    expect(line.y).toHaveLength(Math.ceil(1000 / blockSize(1000)));
    expect(Math.max(...line.y)).toBeLessThan(4);
    expect(line.x.at(-1)).toBe(1000);
    // After zooming in, the curve shows the values themselves.
    expect(Math.max(...drawnCurve({ ...curveOf(y), medians }, [101, 150], 300).line.y)).toBe(100);
  });

  it("are the same whether values came at once or one by one, and after a resumed run took some again", () => {
    const y = noise(1000);
    const growing = createMedians();
    for (let length = 1; length <= 900; length++) growing.take(x, y, length);
    growing.truncate(850);
    for (let i = 850; i < 900; i++) y[i] = 7;
    expect(growing.take(x, y, 1000)).toEqual(createMedians().take(x, y, 1000));
  });

  it("are none of few values", () => {
    expect(createMedians().take(x, noise(199), 199)).toBeUndefined();
    expect([199, 200, 1000, 39_383].map(blockSize)).toEqual([1, 2, 8, 256]);
  });
});

describe("a table", () => {
  it("grows beyond its capacity and finds values", () => {
    const table = createTable(["step", "loss"]);
    for (let step = 1; step <= 5000; step++) table.push({ step, loss: 1 / step });
    expect(table.length).toBe(5000);
    expect(table.column("loss")[4999]).toBe(1 / 5000);
    expect(lowerBound(table.column("step"), table.length, 4321)).toBe(4320);
    table.truncate(10);
    expect(table.length).toBe(10);
  });

  it("gives the value at a place, or the last before it", () => {
    const curve = { ...curveOf(Float64Array.from([5, 4, 3])), x: [10, 20, 30] };
    expect(valueAt(curve, 20)).toEqual({ x: 20, y: 4, mean: undefined });
    expect(valueAt(curve, 29)).toEqual({ x: 20, y: 4, mean: undefined });
    expect(valueAt(curve, 9)).toBeUndefined();
  });

  it("gives the value that is nearest to the pointer, with its own place", () => {
    const curve = { ...curveOf(Float64Array.from([5, 4, 3])), x: [10, 20, 30] };
    const other = { ...curveOf(Float64Array.from([7])), x: [0] };
    for (const [pointed, x, y] of [
      [19.6, 20, 4],
      [20.4, 20, 4],
      [25.1, 30, 3],
      [99, 30, 3],
      [-3, 0, undefined],
    ] as const) {
      const at = nearestX([curve, other], pointed);
      expect(at).toBe(x);
      expect(valueAt(curve, at ?? Number.NaN)?.y).toBe(y);
    }
    expect(nearestX([], 3)).toBeNull();
  });
});

describe("axes", () => {
  it("hold a curve of one value and an empty one", () => {
    const one = drawnCurve(curveOf(Float64Array.from([3])), [0.5, 1.5], 100);
    expect(extentOf([one.curve])).toEqual([0.5, 1.5]);
    const [low, high] = rangeOf([one], false);
    expect(low).toBeLessThan(3);
    expect(high).toBeGreaterThan(3);
    expect(extentOf([])).toEqual([0, 1]);
  });

  it("do not blow up differences below the least span", () => {
    const near = drawnCurve(curveOf(Float64Array.from([4.2478, 4.2484])), [1, 2], 100);
    const [low, high] = rangeOf([near], false, 0.05);
    expect(high - low).toBeCloseTo(0.05, 12);
    expect((low + high) / 2).toBeCloseTo(4.2481, 12);
    const far = drawnCurve(curveOf(Float64Array.from([4, 3])), [1, 2], 100);
    expect(rangeOf([far], false, 0.05)).toEqual(rangeOf([far], false));
  });
});

describe("the end of a growing axis", () => {
  it("stands still over many values, shows the first of them, and is the plan in the end", () => {
    expect([1, 10, 100, 600, 800, 900, 950, 1000].map((last) => Math.round(plannedEnd(last, 1000)))).toEqual([
      1, 12, 134, 800, 1000, 1000, 1000, 1000,
    ]);
    for (let last = 1; last <= 1000; last++) {
      expect(plannedEnd(last, 1000)).toBeGreaterThanOrEqual(last);
      expect(plannedEnd(last, 1000)).toBeLessThanOrEqual(1.4 * last);
    }
    expect(plannedEnd(0, 1000)).toBe(1000);
    expect(plannedEnd(1200, 1000)).toBe(1200);
  });
});

describe("names of curves", () => {
  const range = [0, 10] as const;

  it("stand at the last point that is shown", () => {
    expect(endOf({ x: [1, 4, 12], y: [3, 2, 1] }, range)).toEqual({ x: 4, y: 2 });
    expect(endOf({ x: [1, 4], y: [3, Number.NaN] }, range)).toEqual({ x: 1, y: 3 });
    expect(endOf({ x: [11], y: [3] }, range)).toBeUndefined();
  });

  const room = { gap: 15, top: 8, bottom: 292, right: 400 };

  it("do not lie on each other, and move as little as possible", () => {
    const places = [
      { x: 10, width: 50, y: 100 },
      { x: 20, width: 50, y: 95 },
      { x: 30, width: 50, y: 82 },
      { x: 300, width: 50, y: 98 },
    ];
    placeLabels(places, room);
    expect(places.map(({ y }) => Math.round(y))).toEqual([107, 92, 77, 98]);
  });

  it("begin behind the end of another curve that they would cover", () => {
    const places = [
      { x: 300, width: 60, y: 100 },
      { x: 320, width: 50, y: 101 },
      { x: 40, width: 50, y: 101 },
    ];
    placeLabels(places, room);
    expect(places.map(({ x }) => x)).toEqual([320, 320, 40]);
  });

  it("stay within the chart, apart and in their order, whatever ends where", () => {
    for (let seed = 0; seed < 200; seed++) {
      const at = (n: number, below: number) => hashInteger(`labels ${seed}`, n, below);
      const places: LabelPlace[] = Array.from({ length: 2 + (seed % 7) }, (_, i) => ({
        x: seed % 3 === 0 ? 390 : 60 + at(3 * i, 340),
        width: 20 + at(3 * i + 1, 110),
        y: seed % 2 === 0 ? at(3 * i + 2, 300) : 280 + at(3 * i + 2, 20),
      }));
      const before = places.map(({ y }) => y);
      placeLabels(places, room);
      for (const [i, a] of places.entries()) {
        expect(a.x + a.width).toBeLessThanOrEqual(room.right);
        expect(a.y).toBeGreaterThanOrEqual(room.top);
        expect(a.y).toBeLessThanOrEqual(room.bottom + 1e-9);
        for (const [j, b] of places.entries()) {
          if (i >= j || a.x >= b.x + b.width || b.x >= a.x + a.width) continue;
          expect(Math.abs(a.y - b.y)).toBeGreaterThanOrEqual(room.gap - 1e-9);
          expect(Math.sign(a.y - b.y) * Math.sign((before[i] ?? 0) - (before[j] ?? 0))).toBeGreaterThanOrEqual(0);
        }
      }
    }
  });

  it("of more curves than there are lines are closer, and still within the chart", () => {
    const places = Array.from({ length: 8 }, (_, i) => ({ x: 10, width: 50, y: 20 + i }));
    placeLabels(places, { ...room, bottom: 78 });
    expect(places.map(({ y }) => y)).toEqual([8, 18, 28, 38, 48, 58, 68, 78]);
  });
});

describe("a range from 0", () => {
  const rangeFor = (y: readonly number[], log = false) => {
    const curve = curveOf(Float64Array.from(y));
    return rangeOf([drawnCurve(curve, [1, y.length], 800)], log, 0.05, true);
  };

  it("has its end a little above the highest value, however low the others are", () => {
    expect(rangeFor([4, 4])).toEqual([0, 4.2]);
    expect(rangeFor([4, 0.1])).toEqual([0, 4.2]);
    expect(rangeFor([0.01, 0.02])).toEqual([0, 0.05]);
  });

  it("is for values that 0 is below", () => {
    expect(rangeFor([-1, 4])[0]).toBeLessThan(-1);
    expect(rangeFor([1, 4], true)[0]).toBeGreaterThan(0);
    expect(rangeFor([0, 0])[1]).toBeGreaterThan(0);
  });
});

describe("a high start of a curve", () => {
  const falling = Array.from({ length: 100 }, (_, i) => 1.4 + 3 * 0.6 ** i + (i === 60 ? 0.2 : 0));
  const heights = (y: readonly number[], options: Partial<Parameters<typeof heightsOf>[2]> = {}) => {
    const x = [1, y.length] as const;
    const drawn = [drawnCurve(curveOf(Float64Array.from(y)), x, 800)];
    return { ...heightsOf(drawn, x, { log: false, zoom: null, start: "hidden", ...options }), drawn };
  };

  it.each([false, true])("is above the range, and nothing else is (logarithmic: %s)", (log) => {
    const { range, startsAt } = heights(falling, { log });
    expect(startsAt).toBe(4.4);
    expect(range[1]).toBeGreaterThanOrEqual(1.6);
    expect(range[1]).toBeLessThan(1.7);
    expect(range[0]).toBeLessThanOrEqual(1.4);
  });

  it("is in the range if it is asked for, in a zoomed interval, and in other charts", () => {
    const shown = heights(falling, { start: "shown" });
    expect(shown).toMatchObject({ startsAt: 4.4, range: rangeOf(shown.drawn, false) });
    for (const other of [{ start: undefined }, { zoom: [1, 100] as const }]) {
      const { range, startsAt, drawn } = heights(falling, other);
      expect({ range, startsAt }).toEqual({ range: rangeOf(drawn, false), startsAt: undefined });
    }
  });

  it("is in the range if the curve falls evenly, is short, or rises", () => {
    for (const y of [falling.map((_, i) => 4 - i / 50), falling.toReversed(), falling.slice(0, 19)]) {
      const { range, startsAt, drawn } = heights(y);
      expect({ range, startsAt }).toEqual({ range: rangeOf(drawn, false), startsAt: undefined });
    }
  });

  it("is named in a saved file", () => {
    const figure = {
      ...{ title: "Loss", xLabel: "Steps", curves: [curveOf(Float64Array.from(falling))], log: false, zoom: null },
      ...{ xAxis: stepAxis, colorOf: () => "#000000", notes: [] },
    };
    const note = "The first values, up to 4.40, are above the chart.";
    expect(svgOf({ ...figure, start: "hidden" })).toContain(note);
    expect(svgOf({ ...figure, start: "shown" })).not.toContain(note);
  });
});

describe("names off the lines of curves", () => {
  const room = { gap: 15, top: 8, bottom: 300, right: 480 };
  const flat = (y: number) => ({ x: [0, 400], y: [y, y] });

  it("stand above or below a line that runs through them, as near as they can", () => {
    const places = [
      { x: 100, width: 60, y: 103 },
      { x: 200, width: 60, y: 97 },
      { x: 410, width: 60, y: 100 },
      { x: 300, width: 60, y: 160 },
    ];
    expect(moveOffLines(places, [flat(100)], room)).toEqual([]);
    // The third label begins after the end of the line. The last label is far below the line.
    expect(places.map(({ y }) => y)).toEqual([109.75, 90.25, 100, 160]);
  });

  it("go to the other side where another name or the chart's edge is in the way", () => {
    const places = [
      { x: 100, width: 60, y: 103 },
      { x: 120, width: 60, y: 115 },
      { x: 200, width: 60, y: 10 },
    ];
    expect(moveOffLines(places, [flat(100), { x: [190, 300], y: [12, 12] }], room)).toEqual([]);
    expect(places.map(({ y }) => y)).toEqual([90.25, 115, 21.75]);
  });

  it("follow a line that is steep, and pass over values that are not finite", () => {
    const steep = { x: [0, 50, 100, 150], y: [300, Number.NaN, 100, 0] };
    const place = { x: 90, width: 20, y: 90 };
    expect(moveOffLines([place], [steep], room)).toEqual([]);
    expect(place.y).toBe(80 - 9.75);
  });

  it("are told of where there is no place near the end of the curve", () => {
    const place = { x: 100, width: 60, y: 100 };
    const wall = { x: [120, 121], y: [0, 400] };
    expect(moveOffLines([place], [wall], room)).toEqual([place]);
    expect(place.y).toBe(100);
  });

  it("have no line in them whatever goes where, unless they are told of", () => {
    for (let seed = 0; seed < 100; seed++) {
      const at = (n: number, below: number) => hashInteger(`off ${seed}`, n, below);
      const lines = Array.from({ length: 1 + (seed % 4) }, (_, i) => flat(at(i, 300)));
      const places = lines.map((_, i) => ({ x: at(10 + i, 400), width: 60, y: 8 + at(20 + i, 290) }));
      placeLabels(places, room);
      const crossed = moveOffLines(places, lines, room);
      for (const place of places) {
        if (crossed.includes(place) || place.x > 400) continue;
        for (const { y } of lines) expect(Math.abs((y[0] ?? 0) - place.y)).toBeGreaterThanOrEqual(9.74);
      }
    }
  });
});

describe("long names", () => {
  it("lose their middle", () => {
    expect(shortName("steady", 18)).toBe("steady");
    expect(shortName("letters-of-my-grandmother-0.001", 18)).toBe("letters-o…er-0.001");
    expect([...shortName("😀".repeat(40), 18)]).toHaveLength(18);
  });

  it("are cut where they are alike, so that they can be told apart", () => {
    const names = ["0.001", "0.002", "0.01"].map((rate) => `sweep-lr-${rate}-wd-0.1-layers-2-seed-7`);
    const short = ["…lr-0.001…", "…lr-0.002…", "…lr-0.01…"];
    expect(shortNames(names, 18)).toEqual(short);
    expect(shortNames([...names, "adam"], 18)).toEqual([...short, "adam"]);
    expect(shortNames(["letters-of-my-grandmother-a", "letters-of-my-grandmother-b"], 12)).toEqual([
      "letter…her-a",
      "letter…her-b",
    ]);
    expect(shortNames(["steady", "steady"], 18)).toEqual(["steady", "steady"]);
  });

  it("are numbered where their parts that differ are too long themselves", () => {
    const long = (middle: string) => `a-1${"x".repeat(40)}${middle}${"y".repeat(40)}1-b`;
    const names = [long("1"), long("2").replaceAll("-1", "-2"), long("3").replace("1-", "2-"), "other"];
    const short = shortNames(names, 7);
    expect(new Set(short).size).toBe(4);
    for (const name of short) expect([...name].length).toBeLessThanOrEqual(7);
    expect(short[3]).toBe("other");
  });

  it("are never cut if they have shorter names, and all have the same kind of name", () => {
    const named = (label: string, short: string, tag: string) => ({ label, shorter: { short, tag } });
    const names = [named("1 learningRate 0.003", "1: 0.003", "1"), named("2 rate", "2: 0.0000012", "2")];
    expect(fittingNames(names, 20, "tag")).toEqual(["1 learningRate 0.003", "2 rate"]);
    expect(fittingNames(names, 12, "tag")).toEqual(["1: 0.003", "2: 0.0000012"]);
    expect(fittingNames(names, 11, "tag")).toEqual(["1", "2"]);
    expect(fittingNames(names, 11, "short")).toEqual(["1: 0.003", "2: 0.0000012"]);
    expect(fittingNames([{ label: "letters-of-my-grandmother-0.001" }], 18, "tag")).toEqual(["letters-o…er-0.001"]);
  });

  it("of a sweep are values at the lines of a saved chart, and whole in its key", () => {
    const settings = [1, 2].map((n) => ({
      label: `${n} learningRate 0.00${n}, nLayer ${n}`,
      shorter: { short: `${n}: 0.00${n} · ${n}`, tag: String(n) },
    }));
    const common = { title: "Loss", xLabel: "Steps", log: false, zoom: null, xAxis: stepAxis, notes: [] };
    const saved = (names: readonly Pick<Curve, "label" | "shorter">[]): string =>
      svgOf({
        ...{ ...common, colorOf: () => "#123456", keyTitle: "learningRate · nLayer:" },
        curves: names.map((one) => ({ ...curveOf(noise(30)), ...one })),
      });
    const svg = saved(settings);
    for (const { label, shorter } of settings) {
      expect(svg).toContain(`>${label}</text>`);
      expect(svg).toContain(`>${shorter.short}</text>`);
    }
    expect(svg).not.toContain("…");
    expect(svg).not.toContain("learningRate · nLayer:");
    // A key without room for the names of many fields has a title for the values.
    const long = saved(settings.map((one) => ({ ...one, label: `${one.label}, ${"field 0, ".repeat(12)}` })));
    expect(long).toContain(">learningRate · nLayer:</text>");
    expect(long).toContain('height="552"');
    expect(long).not.toContain("…");
  });

  it("are whole below a saved chart, so that they can be told apart", () => {
    const names = [
      "letters-of-my-grandmother-with-rate-0.01-and-more",
      "letters-of-my-grandmother-with-rate-0.02-and-more",
    ];
    const common = { xLabel: "Steps", log: false, zoom: null, xAxis: stepAxis, colorOf: () => "#123456" };
    const curves = names.map((label) => ({ ...curveOf(noise(30)), label }));
    const svg = svgOf({ title: "Loss", curves, ...common, notes: [] });
    for (const name of names) expect(svg).toContain(`>${name}</text>`);
    const short = svgOf({ title: "Loss", curves: [curveOf(noise(30))], ...common, notes: [] });
    expect(short).toContain('height="480"');
    expect(svg).toContain('height="532"');
  });
});

describe("a chart as a file", () => {
  it("is well-formed XML whatever a run is called", () => {
    const curve = { ...curveOf(noise(300)), label: `</text><script>alert("x")</script>\u0001&` };
    const common = {
      xLabel: "Steps",
      log: false,
      zoom: null,
      xAxis: stepAxis,
      colorOf: () => "#123456",
      notes: ["<i>"],
    };
    const svg = svgOf({ title: "<b>", curves: [curve], ...common });
    expect(svg).not.toContain("<script");
    expect(svg).not.toContain("<b>");
    expect(svg).toContain("&lt;i&gt;");
    expect(svg).not.toContain("\u0001");
    expect(svg).toContain("&lt;/text&gt;&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;\ufffd&amp;");
    expect(svg.match(/<path /g)).toHaveLength(1);
  });
});

it("gives a saved chart the name of its run, in any script", () => {
  expect(fileName("2026-11-29-हिन्दी", "svg")).toBe("2026-11-29-हिन्दी.svg");
  expect(fileName("a/b c", "csv")).toBe("a-b-c.csv");
});
