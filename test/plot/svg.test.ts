import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DrawnRun, PlotOptions } from "#foretoken/plot/curves.js";
import { isOurSvg, plotSvg } from "#foretoken/plot/svg.js";
import { codePoint } from "../support/code-points.ts";
import { hashInteger } from "../support/hash.ts";
import { readChart } from "./read-svg.ts";

const options: PlotOptions = { metric: "loss", x: "steps", log: false };

/** A number from 0 to 1 that depends only on the name and the position. */
const noise = (name: string, i: number): number => hashInteger(name, i, 10_000) / 10_000;

interface Given {
  readonly name?: string;
  readonly loss?: readonly number[];
  readonly evals?: readonly (readonly [step: number, valLoss: number])[];
  readonly averagedLoss?: readonly (number | null)[];
  readonly leftOut?: readonly number[];
  readonly differences?: readonly string[];
}

const runOf = ({
  name = "run",
  loss = [],
  evals = [],
  averagedLoss,
  leftOut = [],
  differences = [],
}: Given): DrawnRun => {
  const left = new Set(leftOut);
  const step = Array.from({ length: loss.length + leftOut.length }, (_, i) => i + 1).filter((one) => !left.has(one));
  return {
    name,
    tokensPerStep: 100,
    differences,
    numbers: {
      steps: {
        step,
        loss,
        learningRate: loss.map((_, i) => i / 1000),
        gradNorm: loss.map((_, i) => 1 + noise("norm", i)),
        tokensPerSecond: loss.map(() => 50),
      },
      evals: {
        step: evals.map(([at]) => at),
        valLoss: evals.map(([, value]) => value),
        ...(averagedLoss === undefined ? {} : { averagedLoss }),
      },
      leftOut,
    },
  };
};

const falling = (count: number, name = "loss"): number[] =>
  Array.from({ length: count }, (_, i) => 1 + 3 * Math.exp(-i / count) + noise(name, i));

/** Elements and attributes of a file. Throws if the file uses XML that charts do not use. */
const elementsOf = (svg: string): readonly string[] => {
  const open: string[] = [];
  const seen: string[] = [];
  const rest = svg.replace(
    /<!--(?:(?!--).)*-->|<(\/?)([a-z]+)((?: [a-z:-]+="[^"<>&]*(?:&(?:amp|lt|gt|quot|#39);[^"<>&]*)*")*)(\/?)>/giu,
    (_, close: string, name: string, attributes: string, empty: string) => {
      if (name === undefined) return "";
      if (close === "/") expect(open.pop()).toBe(name);
      else {
        seen.push(name, ...[...attributes.matchAll(/ ([a-z:-]+)=/giu)].map(([, attribute]) => `@${attribute}`));
        if (empty !== "/") open.push(name);
      }
      return "";
    },
  );
  expect(open).toEqual([]);
  expect(rest).not.toMatch(/[<]|&(?!(?:amp|lt|gt|quot|#39);)/u);
  return [...new Set(seen)];
};

describe("a chart's places are the numbers", () => {
  test("of each step and each evaluation, within a unit of the drawing", () => {
    const loss = falling(40);
    const evals = [
      [10, 4.1],
      [20, 3.2],
      [40, 3.4],
    ] as const;
    const chart = readChart(plotSvg([runOf({ loss, evals })], options));
    const [steps, validation] = chart.paths("line dash-0");
    expect(steps).toHaveLength(40);
    for (const [i, [x, y]] of (steps ?? []).entries()) {
      expect(Math.abs(x - (i + 1))).toBeLessThan(chart.unit.x);
      expect(Math.abs(y - (loss[i] ?? Number.NaN))).toBeLessThan(chart.unit.y);
    }
    for (const [i, [x, y]] of (validation ?? []).entries()) {
      expect(Math.abs(x - (evals[i]?.[0] ?? Number.NaN))).toBeLessThan(chart.unit.x);
      expect(Math.abs(y - (evals[i]?.[1] ?? Number.NaN))).toBeLessThan(chart.unit.y);
    }
    expect(validation).toHaveLength(3);
  });

  test("of averaged weights, with the lowest of them in words", () => {
    const evals = [
      [10, 4.1],
      [20, 3.2],
      [40, 3.4],
    ] as const;
    const svg = plotSvg([runOf({ loss: falling(40), evals, averagedLoss: [null, 1.25, 3.1] })], options);
    const chart = readChart(svg);
    const [averaged = []] = chart.paths("line averaged");
    expect(averaged).toHaveLength(2);
    for (const [i, [step, loss]] of [[20, 1.25] as const, [40, 3.1] as const].entries()) {
      expect(Math.abs((averaged[i]?.[0] ?? Number.NaN) - step)).toBeLessThan(chart.unit.x);
      expect(Math.abs((averaged[i]?.[1] ?? Number.NaN) - loss)).toBeLessThan(chart.unit.y);
    }
    expect(svg).toContain("averaged 1.2500 at step 20");
    expect(plotSvg([runOf({ loss: falling(40), evals })], options)).not.toContain("averaged weights");
  });

  test.each([
    ["tokens", 100],
    ["time", 2],
  ] as const)("on an axis of %s, which a step adds %d to", (x, perStep) => {
    const loss = falling(20);
    const chart = readChart(plotSvg([runOf({ loss, evals: [[10, 2]] })], { ...options, x }));
    const [steps = []] = chart.paths("line dash-0");
    for (const [i, [at]] of steps.entries()) expect(Math.abs(at - (i + 1) * perStep)).toBeLessThan(chart.unit.x);
  });

  test("on a logarithmic axis, which leaves out what is not above 0", () => {
    const loss = [0, 1e-4, 0.01, 1, 100, -1];
    const chart = readChart(plotSvg([runOf({ loss })], { ...options, log: true }), true);
    const [steps = []] = chart.paths("line dash-0");
    expect(steps.map(([, y]) => Math.log10(y).toFixed(1))).toEqual(["-4.0", "-2.0", "0.0", "2.0"]);
    expect(steps.map(([x]) => Math.round(x))).toEqual([2, 3, 4, 5]);
  });

  test("of the other metrics too", () => {
    const run = runOf({ loss: falling(30), evals: [[30, 2]] });
    for (const [metric, column] of [
      ["learning-rate", run.numbers.steps.learningRate],
      ["grad-norm", run.numbers.steps.gradNorm],
      ["tokens-per-second", run.numbers.steps.tokensPerSecond],
    ] as const) {
      const chart = readChart(plotSvg([run], { ...options, metric }));
      const lines = chart.paths("line dash-0");
      expect(lines).toHaveLength(1);
      for (const [i, [, y]] of (lines[0] ?? []).entries()) {
        expect(Math.abs(y - (column[i] ?? Number.NaN)), `${metric}, step ${i + 1}`).toBeLessThan(chart.unit.y);
      }
    }
  });
});

describe("many points", () => {
  test("keep every extreme, in a file that grows no more", () => {
    const loss = falling(100_000);
    loss[54_321] = 9;
    loss[65_432] = 0.1;
    const evals = Array.from({ length: 5000 }, (_, i): [number, number] => [
      20 * (i + 1),
      i === 1234 ? 0.05 : 2 + noise("v", i),
    ]);
    const svg = plotSvg([runOf({ loss, evals })], options);
    expect(svg.length).toBeLessThan(120_000);
    const chart = readChart(svg);
    const [band = []] = chart.paths("band");
    const near = (x: number, y: number) =>
      band.some(([bx, by]) => Math.abs(bx - x) <= chart.unit.x && Math.abs(by - y) <= chart.unit.y);
    expect(near(54_322, 9)).toBe(true);
    expect(near(65_433, 0.1)).toBe(true);
    // Each corner of the band is the loss of a step, and no loss is outside the band.
    const upper = band.slice(0, band.length / 2);
    const lower = band.slice(band.length / 2).reverse();
    expect(upper.length).toBe(lower.length);
    expect(upper.length).toBeGreaterThan(500);
    for (const [x, y] of band) {
      const around = loss.slice(Math.max(0, Math.floor(x - 1 - chart.unit.x)), Math.ceil(x + chart.unit.x));
      expect(around.some((value) => Math.abs(value - y) < chart.unit.y)).toBe(true);
    }
    for (const [i, value] of loss.entries()) {
      const place = Math.min(upper.length - 1, Math.floor(((i + 1) / loss.length) * (upper.length - 1)));
      const around = [place - 1, place, place + 1].flatMap((at) => (upper[at] === undefined ? [] : [at]));
      if (value > Math.max(...around.map((at) => upper[at]?.[1] ?? 0)) + chart.unit.y)
        expect.fail(`step ${i + 1} above`);
      if (value < Math.min(...around.map((at) => lower[at]?.[1] ?? 9)) - chart.unit.y)
        expect.fail(`step ${i + 1} below`);
    }
    // The line of the evaluations also keeps its lowest point.
    expect(Math.min(...chart.paths("line dash-0").flatMap((path) => path.map(([, y]) => y)))).toBeCloseTo(0.05, 1);
    // A chart of one thousandth of the steps is not much smaller than a chart of all steps.
    expect(svg.length).toBeLessThan(8 * plotSvg([runOf({ loss: loss.slice(0, 1000) })], options).length);
  });
});

describe("few points", () => {
  test.each([
    ["no steps", { loss: [] }, "nothing to draw yet"],
    ["no steps, one left out", { loss: [], leftOut: [1] }, "1 step skipped"],
    ["one step", { loss: [2.5] }, 'class="dot"'],
    ["one evaluation alone", { evals: [[0, 2.5]] as const }, 'class="mark best"'],
    ["equal losses", { loss: [2, 2, 2, 2] }, 'class="line dash-0"'],
    ["equal losses of 0", { loss: [0, 0] }, 'class="line dash-0"'],
    ["losses that are no numbers", { loss: [Number.NaN, 2, Number.POSITIVE_INFINITY, 3] }, 'class="line dash-0"'],
    ["the largest numbers there are", { loss: [-Number.MAX_VALUE, 2, Number.MAX_VALUE, 3] }, 'class="line dash-0"'],
    ["numbers that hardly differ", { loss: [1, 1 + Number.EPSILON] }, 'class="line dash-0"'],
  ])("%s", (_, given, expected) => {
    for (const log of [false, true]) {
      const svg = plotSvg([runOf(given)], { ...options, log });
      expect(svg).not.toMatch(/NaN|Infinity|undefined/u);
      if (!log || !JSON.stringify(given).includes("[0,")) expect(svg).toContain(expected);
      elementsOf(svg);
    }
  });

  test("have crosses for steps that were left out, at their places", () => {
    const svg = plotSvg([runOf({ loss: falling(98), leftOut: [20, 60] })], options);
    const chart = readChart(svg);
    const [, d = ""] = /<path class="lost" d="([^"]+)"/u.exec(svg) ?? [];
    const places = [...d.matchAll(/M([\d.]+)/gu)].map(([, x]) => chart.x(Number(x) + 3));
    expect(places.map((x) => Math.round(x))).toEqual([20, 60]);
    expect(svg).toContain("Crosses are skipped steps.");
  });
});

describe("text", () => {
  const plain = elementsOf(plotSvg([runOf({ loss: falling(700), evals: [[9, 2]], leftOut: [3] })], options));

  test("is never markup, whatever a run is called", async () => {
    const name = fc.oneof(
      fc.string({ unit: codePoint }),
      fc.constantFrom(
        "</title><script>alert(1)</script>",
        "]]>",
        "<!--",
        "-->",
        '" onload="x',
        "&lt;",
        "\ud800",
        "\u0000",
      ),
    );
    await fc.assert(
      fc.asyncProperty(name, name, async (one, other) => {
        const given = { loss: falling(700), evals: [[9, 2]] as const, leftOut: [3], differences: [other] };
        const svg = plotSvg([runOf({ ...given, name: one }), runOf({ ...given, name: other })], options);
        for (const element of elementsOf(svg)) expect(plain).toContain(element);
        expect(svg).not.toMatch(
          /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufffe\uffff]|\p{Cs}/u,
        );
        expect(await isOurSvg([svg])).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test("says what a chart shows, for those who do not see it, and what is not the same in the runs", () => {
    const svg = plotSvg(
      [
        runOf({ name: "one", loss: falling(9), evals: [[9, 2.25]], differences: ["train.learningRate 0.1"] }),
        runOf({ name: "a <b>", loss: falling(5), leftOut: [6] }),
      ],
      options,
    );
    expect(svg).toContain('role="img"');
    expect(svg).toContain("<title>Loss of 2 runs</title>");
    expect(svg).toContain(
      "<desc>one: validation 2.2500 at step 9 of 9, train.learningRate 0.1. a &lt;b&gt;: 6 steps, 1 step skipped.</desc>",
    );
    expect(svg).toMatch(/<text [^>]*>train\.learningRate 0\.1<\/text>/u);
    expect(svg).toContain('class="line dash-1"');
    expect(svg).toContain("prefers-color-scheme:dark");
  });

  test("has long names whole, so that they can be told apart; of very long ones the middle is missing", () => {
    const names = ["0.01", "0.02"].map((rate) => `${"letters-of-my-grandmother-".repeat(3)}with-rate-${rate}-and-more`);
    const rowsOf = (svg: string): string =>
      [...svg.matchAll(/<text x="74"[^>]*>([^<]*)</gu)].map(([, row = ""]) => row).join("");
    const rows = rowsOf(
      plotSvg(
        names.map((name) => runOf({ name, loss: falling(9) })),
        options,
      ),
    );
    for (const name of names) expect(rows).toContain(name);
    for (const sign of ["x", "好"]) {
      const rest = rowsOf(plotSvg([runOf({ name: `begin${sign.repeat(400)}end`, loss: falling(9) })], options));
      expect(rest).toMatch(new RegExp(`^begin${sign}+…${sign}+end`, "u"));
    }
  });

  test("keeps to its row, and says what is missing", () => {
    const differences = Array.from({ length: 40 }, (_, i) => `train.field${i} ${"9".repeat(i)}`);
    const svg = plotSvg([runOf({ name: "n".repeat(300), loss: [1, 2], differences })], options);
    const rows = [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/gu)].map(([, text = ""]) => text);
    for (const row of rows) expect(row.length).toBeLessThanOrEqual(52);
    expect(rows.some((row) => /and \d+ more$/u.test(row))).toBe(true);
    expect(svg).toContain(`<title>${"n".repeat(300)}: training</title>`);
  });
});
