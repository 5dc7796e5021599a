import { describe, expect, it } from "vitest";
import { isShownWhole, openingHead, rowOf, strongestOf } from "../../web/inside/attention/opening.ts";

const one = (from: number) => ({ from, to: from + 1 });

describe("what the attention opens on", () => {
  const spans = [0, 1, 2, 3].map(one);
  const map = (layer: number, head: number, ...last: number[]) => ({
    layer,
    head,
    values: [[1], [1, 0], [1, 0, 0], last],
  });
  const maps = [
    // Attention to the token itself, to the first token, to the token two places back, and to the previous token.
    ...[map(0, 0, 0, 0, 0, 1), map(0, 1, 1, 0, 0, 0)],
    ...[map(1, 0, 0, 0.8, 0.1, 0.1), map(1, 1, 0, 0, 1, 0), map(2, 0, 0, 0.5, 0.5, 0)],
  ];

  it("is the head whose last row reaches furthest, not counting the first token", () => {
    expect(openingHead({ maps, rows: spans, columns: spans }, undefined)).toEqual({ layer: 1, head: 0 });
  });

  it("is one of the layer that the address names", () => {
    expect(openingHead({ maps, rows: spans, columns: spans }, 2)).toEqual({ layer: 2, head: 0 });
  });

  it("is the first head where none reaches anywhere", () => {
    const alone = { maps: [map(0, 0, 1), map(0, 1, 1)], rows: [one(0)], columns: [one(0)] };
    expect(openingHead(alone, undefined)).toEqual({ layer: 0, head: 0 });
    expect(openingHead({ ...alone, maps: [] }, 1)).toEqual({ layer: 1, head: 0 });
  });

  it("is the strongest cell of the row of a position, else of the last row", () => {
    expect(strongestOf([0.1, 0.6, 0.3])).toBe(1);
    expect(strongestOf([])).toBe(0);
    const grouped = [
      { from: 4, to: 8 },
      { from: 8, to: 12 },
      { from: 12, to: 14 },
    ];
    expect([4, 9, 13].map((position) => rowOf(grouped, position))).toEqual([0, 1, 2]);
    expect([2, 20].map((position) => rowOf(grouped, position))).toEqual([2, 2]);
    expect(rowOf([], 3)).toBe(0);
  });
});

it("a list is cut only where more than one and a half of its rows are hidden", () => {
  expect(isShownWhole(440, 384, 80)).toBe(true);
  expect(isShownWhole(300, 384, 80)).toBe(true);
  expect(isShownWhole(504, 384, 80)).toBe(false);
});
