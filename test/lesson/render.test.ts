import pc from "picocolors";
import { describe, expect, it } from "vitest";
import { columns } from "#foretoken/cli/display/texts/width.js";
import { renderPiece } from "#foretoken/cli/lesson/render.js";
import { symbolsFor } from "#foretoken/cli/process/terminal.js";
import type { Piece } from "#foretoken/lesson/piece.js";
import { uncoloured } from "./screens.ts";

const colored = { symbols: symbolsFor(true), colors: pc.createColors(true) };

const falling = (to: number) => Array.from({ length: 50 }, (_, step) => ({ step, loss: to + 3 * Math.exp(-step / 9) }));

const curves = (values: Partial<Extract<Piece, { kind: "curves" }>> = {}): Piece => ({
  kind: "curves",
  id: "c",
  curves: [
    { name: "one", points: falling(1.9) },
    { name: "other", points: falling(0.1) },
  ],
  levels: [
    { name: "ln 65", loss: Math.log(65) },
    { name: "bigram", loss: 2.45 },
  ],
  steps: 50,
  final: true,
  ...values,
});

const samples: Readonly<Record<string, Piece>> = {
  title: { kind: "title", part: "loss", text: "How wrong a guess is, said in more words than fit" },
  heading: { kind: "heading", text: "A heading that is a good deal longer than the narrowest of terminals" },
  prose: {
    kind: "prose",
    text: [
      { text: "Some prose, " },
      { text: "with emphasis that is broken between lines,", emphasis: "strong" },
      { text: ` and −ln p → “x” … and a word without end: ${"o".repeat(150)}` },
    ],
  },
  lines: { kind: "lines", lines: ["p = e^z / Σ e^z", "x".repeat(150), "a\tb"], of: "equation" },
  table: {
    kind: "table",
    columns: [
      { title: "after", align: "left" },
      { title: "loss", align: "right" },
    ],
    rows: [
      ["a context that is long enough to be cut somewhere", "4.17"],
      [[{ text: "x", emphasis: "good" }], "0.1"],
    ],
  },
  bars: {
    kind: "bars",
    bars: [
      { label: "a name that is long enough to be cut somewhere", value: 4, shown: "4.00" },
      { label: "b", value: 0.001, shown: "0.00", emphasis: "good" },
      { label: "c", value: 0, shown: "0" },
    ],
  },
  strip: {
    kind: "strip",
    shares: [
      { text: "e", to: 0.5 },
      { text: "的", to: 0.9 },
      { text: "↵", to: 1 },
    ],
    at: 0.87,
    shown: "0.8700",
  },
  aligned: {
    kind: "aligned",
    rows: [
      { name: "x", cells: [..."abcdefghijklmnopqrstuvwxyz"] },
      { name: "ids", cells: Array.from({ length: 26 }, (_, i) => String(i)) },
    ],
  },
  columns: {
    kind: "columns",
    columns: [
      { title: "left", text: "one text\nof two lines, the second of which is longer than the other" },
      { title: "right", text: "another" },
    ],
  },
  curves: curves(),
  "curves before the first step": curves({ curves: [{ name: "one", points: [] }] }),
  "curves of nothing": curves({ curves: [], levels: [] }),
  "curves that are not finite": curves({ curves: [{ name: "one", points: [{ step: 0, loss: Number.NaN }] }] }),
  "many levels": curves({ levels: Array.from({ length: 20 }, (_, i) => ({ name: `level ${i}`, loss: 2 + i / 100 })) }),
};

describe.each(Object.entries(samples))("%s", (_, piece) => {
  it.each([20, 30, 41, 60, 80, 120, 200])("fits into %i columns", (width) => {
    for (const style of [uncoloured(), uncoloured(false), colored]) {
      const lines = renderPiece(piece, width, style);
      for (const line of lines) expect(columns(line), line).toBeLessThanOrEqual(width);
      expect(lines.join("")).not.toMatch(/NaN|Infinity|undefined/u);
    }
  });

  it("has no escape codes without colours, and is ASCII alone without Unicode", () => {
    expect(renderPiece(piece, 80, uncoloured()).join("")).not.toContain("\u001b");
    expect(renderPiece(piece, 80, uncoloured(false)).join("")).toMatch(/^[ -~]*$/u);
  });
});

describe("what a reader sees", () => {
  const lines = (piece: Piece, width: number): readonly string[] => renderPiece(piece, width, uncoloured());

  it("has tables' columns below each other, and goes on in further lines where there is no room", () => {
    expect(lines(samples.table as Piece, 30)).toEqual([
      "  after                   loss",
      "  a context that is long  4.17",
      "  enough to be cut",
      "  somewhere",
      "  x                        0.1",
    ]);
  });

  it("shows as many aligned cells as fit, the same of each row", () => {
    const [x, ids] = lines(samples.aligned as Piece, 30);
    expect(x).toBe("  x     a  b  c  d  e  f  g …");
    expect(ids).toBe("  ids   0  1  2  3  4  5  6 …");
    expect(lines(samples.aligned as Piece, 100)[0]).toMatch(/ z$/u);
  });

  it("draws bars to scale, and something for whatever is not zero", () => {
    const all = lines(
      { kind: "bars", bars: [3, 1.5, 0.001, 0].map((value) => ({ label: "b", value, shown: "" })) },
      80,
    );
    const lengths = all.map((line) => line.replace(/[^█▏]/gu, "").length);
    expect(lengths).toEqual([50, 25, 1, 0]);
  });

  it("points at the column of a strip's share, also where characters are two columns wide", () => {
    const [cells = "", pointer = ""] = lines(samples.strip as Piece, 80);
    expect(cells).toBe(`    ${"e ".repeat(19)}${"的".repeat(15)}↵ ↵ ↵ ↵`);
    // Cell 33 of 38.
    expect(pointer).toBe(`${"0.8700 ▲".padStart(4 + 2 * 33 + 1)}`);
    const early = lines({ ...(samples.strip as Extract<Piece, { kind: "strip" }>), at: 0.25 }, 80)[1];
    expect(early).toBe(`${" ".repeat(4 + 2 * 9)}▲ 0.8700`);
  });

  it("names a measured curve by its last point, not by a mean", () => {
    const points = Array.from({ length: 21 }, (_, i) => ({ step: 20 * i, loss: 4 - i / 10 }));
    const chart = (measured: object): string =>
      lines(curves({ curves: [{ name: "one", points, ...measured }], steps: 400 }), 80).join("\n");
    expect(chart({ measured: true })).toContain("one 2.00");
    expect(chart({})).toContain("one 2.10");
  });

  it("names curves and levels beside the chart in the order of their losses, or under it where there is no room", () => {
    const names = /(ln 65|bigram|one|other) \d\.\d\d/u;
    const found = lines(curves(), 80).flatMap((line) => names.exec(line)?.[1] ?? []);
    expect(found).toEqual(["ln 65", "bigram", "one", "other"]);
    expect(
      lines(curves(), 80)
        .filter((line) => names.test(line))
        .every((line) => line.includes("│") || line.includes("┤")),
    ).toBe(true);
    const below = lines(curves(), 40).slice(-4);
    expect(below.every((line) => names.test(line))).toBe(true);
  });

  it("never drops a curve's place for a level's where there are more names than rows", () => {
    expect(lines(samples["many levels"] as Piece, 80).join("\n")).toMatch(/one \d\.\d\d.*other \d\.\d\d/su);
  });

  it("keeps the controls of a model's text from the terminal", () => {
    expect(lines({ kind: "lines", lines: ["a\u001b[2Jb"] }, 80).join("")).not.toContain("\u001b");
  });
});
