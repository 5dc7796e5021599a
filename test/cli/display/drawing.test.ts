/** Display of a run during training: its curve, and the frame around the curve. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { CurvePoint } from "#foretoken/cli/display/drawing/canvas.js";
import { type LiveState, liveFrame } from "#foretoken/cli/display/drawing/live-frame.js";
import { liveRegion } from "#foretoken/cli/display/drawing/live-region.js";
import { lossCurve, shownSteps } from "#foretoken/cli/display/drawing/loss-curve.js";
import { lossHistory } from "#foretoken/cli/display/drawing/loss-history.js";
import { pastLosses } from "#foretoken/cli/display/drawing/past-losses.js";
import { columns } from "#foretoken/cli/display/texts/width.js";
import { style } from "./style.ts";

const falling = (steps: number): CurvePoint[] =>
  Array.from({ length: steps }, (_, i) => ({ step: i + 1, loss: 1.5 + 2.7 * Math.exp(-i / 40) }));

const braille = /[\u2801-\u28ff]/u;

describe("the loss curve", () => {
  const train = falling(300);
  const validation = [100, 200, 300].map((step) => ({ step, loss: 1.9 }));

  test.each([20, 40, 50, 80, 120, 200])("fits into %i columns, with every evaluation marked", (width) => {
    for (const unicode of [true, false]) {
      const lines = lossCurve({ train, validation, steps: 300 }, { width, height: 8 }, style(unicode, true));
      expect(lines).toHaveLength(10);
      for (const line of lines) expect(columns(line)).toBeLessThanOrEqual(width);
      const plot = lines.slice(0, 8).join("");
      expect(plot.split(unicode ? "●" : "o")).toHaveLength(1 + validation.length);
      expect(braille.test(plot)).toBe(unicode);
    }
  });

  test("is drawn in ASCII alone where there is no Unicode", () => {
    const lines = lossCurve({ train, validation, steps: 300 }, { width: 60, height: 6 }, style(false));
    expect(lines.join("")).toMatch(/^[ -~]+$/u);
  });

  test("falls from the upper left to the lower right, labelled with its highest and lowest loss", () => {
    const lines = lossCurve({ train, validation: [], steps: 300 }, { width: 60, height: 8 }, style(true));
    expect(lines[0]).toMatch(/^4\.20 ┤/u);
    expect(lines[7]).toMatch(/^1\.50 ┤/u);
    const first = lines.map((line) => line.search(braille)).slice(0, 8);
    expect([...first].sort((a, b) => a - b)).toEqual(first);
    expect(lines[7]?.trimEnd().length).toBe(60);
  });

  test("leaves the rest of the plan empty", () => {
    const [wide] = [
      lossCurve({ train: falling(100), validation: [], steps: 1000 }, { width: 100, height: 4 }, style(true)),
    ];
    for (const line of wide.slice(0, 4)) expect(line.length).toBeLessThan(20);
  });

  test("is empty without points or without room", () => {
    expect(lossCurve({ train: [], validation: [], steps: 10 }, { width: 80, height: 8 }, style(true))).toEqual([]);
    expect(lossCurve({ train, validation, steps: 300 }, { width: 12, height: 8 }, style(true))).toEqual([]);
    expect(lossCurve({ train, validation, steps: 300 }, { width: 80, height: 0 }, style(true))).toEqual([]);
  });

  const odd: readonly (readonly [string, readonly CurvePoint[]])[] = [
    ["one point", [{ step: 1, loss: 4.17 }]],
    ["a constant", falling(50).map(({ step }) => ({ step, loss: 2 }))],
    [
      "zero",
      [
        { step: 1, loss: 0 },
        { step: 2, loss: 1 },
      ],
    ],
    [
      "huge",
      [
        { step: 1, loss: 1e30 },
        { step: 2, loss: 1 },
      ],
    ],
    [
      "not finite",
      [
        { step: 1, loss: Number.NaN },
        { step: 2, loss: 3 },
        { step: 3, loss: Number.POSITIVE_INFINITY },
      ],
    ],
    [
      "beyond the plan",
      [
        { step: 1, loss: 3 },
        { step: 900, loss: 2 },
      ],
    ],
  ];
  test.each(odd)("draws %s", (_, points) => {
    const lines = lossCurve({ train: points, validation: points, steps: 50 }, { width: 80, height: 8 }, style(true));
    expect(lines).toHaveLength(10);
    expect(lines.join("")).not.toMatch(/NaN|Infinity|undefined/u);
    expect(lines.join("")).toContain("●");
    for (const line of lines) expect(columns(line)).toBeLessThanOrEqual(80);
  });

  test("is not flattened by one lucky step", () => {
    const points = falling(5000).map((point) => (point.step === 4000 ? { ...point, loss: 0.001 } : point));
    const lines = lossCurve({ train: points, validation: [], steps: 5000 }, { width: 60, height: 8 }, style(true));
    expect(Number.parseFloat(lines[7] ?? "")).toBeGreaterThan(1.4);
  });

  test("shows a young run larger than the plan would", () => {
    expect([1, 60, 63, 64, 130, 500, 501, 1000].map((step) => shownSteps(step, 1000))).toEqual([
      ...[63, 63, 63, 125, 250, 500, 1000, 1000],
    ]);
  });
});

test("a resumed run's curve begins with the losses that were noted, as far as they can be read", async () => {
  const folder = await mkdtemp(join(tmpdir(), "foretoken-display-"));
  expect(await pastLosses(folder)).toEqual({ initial: undefined, train: [], validation: [] });
  const lines = [
    '{"type":"start","step":0}',
    '{"type":"eval","reason":"begin","step":0,"valLoss":3.5,"natsPerCharacter":3,"bitsPerByte":4,"tokens":9,"v":1}',
    '{"type":"step","step":1,"loss":2.5}',
    '{"type":"step","step":2,"loss":null}',
    '{"type":"step","step":"3","loss":2}',
    '{"type":"eval","step":2,"valLoss":2.25,"trainLoss":2.4}',
    "null",
    '[{"type":"step"}]',
    '{"type":"step","step":4,"lo',
  ];
  await writeFile(join(folder, "metrics.jsonl"), lines.join("\n"));
  expect(await pastLosses(folder)).toMatchObject({
    initial: { valLoss: 3.5, natsPerCharacter: 3, bitsPerByte: 4, tokens: 9 },
    train: [{ step: 1, loss: 2.5 }],
    validation: [
      { step: 0, loss: 3.5 },
      { step: 2, loss: 2.25 },
    ],
  });
  await rm(folder, { recursive: true });
});

test("the history of losses stays bounded, in order, and keeps the mean", () => {
  const history = lossHistory(64);
  for (const { step } of falling(10_000)) history.add(step, step);
  const points = history.points();
  expect(points.length).toBeLessThanOrEqual(65);
  expect(points.map(({ step }) => step)).toEqual(points.map(({ step }) => step).sort((a, b) => a - b));
  expect(points.at(-1)?.step).toBe(10_000);
  const [first, second] = points;
  expect(first?.loss).toBe((1 + (first?.step ?? 0)) / 2);
  expect(second?.loss).toBe((1 + (first?.step ?? 0) + (second?.step ?? 0)) / 2);
});

const state: LiveState = {
  step: 412,
  steps: 1000,
  loss: 1.874,
  smoothedLoss: 1.912,
  learningRate: 2.83e-3,
  tokensPerSecond: 31_204.2,
  secondsLeft: 52,
  activity: undefined,
  train: falling(412),
  validation: [{ step: 200, loss: 2 }],
};

describe("the live frame", () => {
  test.each([40, 50, 80, 120, 200])("fits into %i columns and any number of rows", (width) => {
    for (const rows of [3, 10, 24, 60]) {
      for (const unicode of [true, false]) {
        const lines = liveFrame(state, width, rows, style(unicode, true));
        for (const line of lines) expect(columns(line)).toBeLessThanOrEqual(width);
        expect(lines.length).toBeLessThanOrEqual(Math.max(4, rows - 2));
      }
    }
  });

  test("says where the run is", () => {
    const shown = liveFrame(state, 100, 24, style(true)).join("\n");
    for (const words of [
      "412/1,000",
      "41%",
      "0:52 left",
      "loss 1.912",
      "this step 1.874",
      "lr 2.83e-3",
      "31,204 tokens/s",
    ]) {
      expect(shown).toContain(words);
    }
  });

  test("needs no step to have been done", () => {
    const before = { ...state, step: 0, train: [], validation: [], loss: undefined, smoothedLoss: undefined };
    const lines = liveFrame(
      { ...before, learningRate: undefined, tokensPerSecond: undefined, secondsLeft: undefined },
      80,
      24,
      style(true),
    );
    expect(lines.join("\n")).toMatch(/^step {5}0\/1,000 ─+ {3}0%$/u);
  });
});

/**
 * The screen of a terminal after it has received `text`. The function supports the escape codes that the region uses.
 */
const terminal = (width: number) => {
  const rows: string[] = [""];
  let row = 0;
  return {
    columns: width,
    rows: 24,
    reflows: true,
    lines: rows,
    write(text: string): void {
      for (const [part] of text.matchAll(/\p{Cc}\[\d*[A-Z]|\r|\n|\P{Cc}+/gu)) {
        const up = /^\p{Cc}\[(\d+)A$/u.exec(part);
        if (up !== null) row = Math.max(0, row - Number(up[1]));
        else if (part === "\n") {
          row++;
          rows[row] ??= "";
        } else if (part === "\u001b[J") rows.splice(row, rows.length, "");
        else if (!part.startsWith("\u001b") && part !== "\r") rows[row] = part;
      }
    },
  };
};

describe("the live region", () => {
  test("is redrawn in place, with lasting lines above it", () => {
    const screen = terminal(20);
    const region = liveRegion(screen);
    region.draw(["a", "b", "c"]);
    region.draw(["d", "e"]);
    region.print(["lasting"]);
    region.draw(["f"]);
    expect(screen.lines).toEqual(["lasting", "f", ""]);
    region.settle();
    region.draw(["g"]);
    expect(screen.lines).toEqual(["lasting", "f", "g", ""]);
  });

  test("goes back over the rows that its lines take since the terminal became narrow", () => {
    const written: string[] = [];
    const screen = { columns: 10, rows: 24, reflows: true, write: (text: string) => written.push(text) };
    const region = liveRegion(screen);
    region.draw(["x".repeat(9), "yy"]);
    screen.columns = 4;
    region.draw(["z"]);
    expect(written[1]).toContain("\r\u001b[4A");
  });
});
