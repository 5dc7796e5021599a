import { describe, expect, it } from "vitest";
import { arcNames, arcsLayout, arcsWords } from "../../web/inside/attention/arcs-layout.ts";
import { isShownWhole, openingHead, openingWords, rowOf, strongestOf } from "../../web/inside/attention/opening.ts";

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

  it("is no head whose tokens all look at the same early token", () => {
    // In the first head, all later tokens look at the second token. In the second head, only the last token does so.
    const sink = [[1], [0.1, 0.9], [0.1, 0.9, 0], [0, 1, 0, 0]];
    const own = [[1], [1, 0], [0.9, 0.1, 0], [0.4, 0.6, 0, 0]];
    const both = [
      { layer: 0, head: 0, values: sink },
      { layer: 3, head: 1, values: own },
    ];
    expect(openingHead({ maps: both, rows: spans, columns: spans }, undefined)).toEqual({ layer: 3, head: 1 });
  });

  it("is one of the layer that the address names", () => {
    expect(openingHead({ maps, rows: spans, columns: spans }, 2)).toEqual({ layer: 2, head: 0 });
  });

  it("is the first head where none reaches anywhere", () => {
    const alone = { maps: [map(0, 0, 1), map(0, 1, 1)], rows: [one(0)], columns: [one(0)] };
    expect(openingHead(alone, undefined)).toEqual({ layer: 0, head: 0 });
    expect(openingHead({ ...alone, maps: [] }, 1)).toEqual({ layer: 1, head: 0 });
  });

  it("is said to be the head whose last token looks back at a token, with the token's name", () => {
    const tokens = ["The", " capital", " of", " is"].map((text, id) => ({ id, text }));
    const all = { maps, rows: spans, columns: spans, tokens };
    expect(openingWords(all, { layer: 1, head: 0 })).toBe(
      "Shown first: in this head, “␣is” (4) looks back at “␣capital” (2), more than any token between them does. ",
    );
    // There is no token between the last token and the token before it.
    expect(openingWords(all, { layer: 1, head: 1 })).toBe(
      "Shown first: in this head, “␣is” (4) looks back at “␣of” (3). ",
    );
    // Neither the token itself nor the first token counts.
    expect(openingWords(all, { layer: 0, head: 0 })).toBe("");
    expect(openingWords(all, { layer: 0, head: 1 })).toBe("");
    expect(openingWords(all, undefined)).toBe("");
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

describe("the arcs", () => {
  const words =
    "When the old fisherman returned to the village , he told the children that the sea had given him back his brother , and that nobody would believe the story he had to tell .".split(
      " ",
    );
  const tokens = words.map((text, id) => ({ id, text }));
  const names = arcNames({ tokens, columns: words.map((_, n) => one(n)) });
  const values = words.map((_, n) => (n === 0 ? 0.6 : n === 12 ? 0.3 : n === words.length - 1 ? 0.1 : 0));
  const last = words.length - 1;

  it("fit into the page with a sentence of 35 tokens, whose names are turned, and so show each target", () => {
    expect(words).toHaveLength(35);
    const layout = arcsLayout(names, values, last, 1100);
    expect(layout.width).toBeLessThanOrEqual(1100);
    expect(layout.isTurned).toBe(true);
    expect(layout.arcs.map(({ column }) => column)).toEqual([0, 12, last]);
    for (const [n, { left, width }] of layout.places.entries()) {
      expect(left).toBeGreaterThanOrEqual(0);
      expect(left + width).toBeLessThanOrEqual((layout.places[n + 1]?.left ?? layout.width) + 1e-9);
    }
  });

  it("have upright names where these fit, and are wider than a narrow page only if lines would overlap", () => {
    const short = arcsLayout(names.slice(0, 5), [1, 0, 0, 0, 0], 4, 700);
    expect(short.isTurned).toBe(false);
    expect(short.width).toBeLessThanOrEqual(700.5);
    expect(arcsLayout(names, values, last, 340).width).toBe(35 * 15 + 8);
  });

  it("have a percent sign at each number, unless a sign would not fit", () => {
    const words = (...[few, shares, room]: readonly [number, readonly number[], number]) =>
      arcsLayout(names.slice(0, few), shares, few - 1, room).shares.map((share) => share.words);
    expect(words(5, [0.05, 0.875, 0, 0, 0.075], 700)).toEqual(["88\u00a0%"]);
    expect(words(5, [0.6, 0.25, 0, 0, 0.15], 700)).toEqual(["60\u00a0%", "25\u00a0%", "15\u00a0%"]);
    // The turned names are 15 pixels apart. So a sign would touch the number beside it, or leave the picture.
    const between = (one: number, other: number) => values.map((_, n) => (n === one || n === other ? 0.5 : 0));
    expect(words(35, between(10, 12), 340)).toEqual(["50", "50"]);
    expect(words(35, between(10, 13), 340)).toEqual(["50\u00a0%", "50\u00a0%"]);
    expect(words(35, between(0, 13), 340)).toEqual(["50", "50"]);
    expect(words(35, between(13, 34), 340)).toEqual(["50", "50"]);
  });

  it("are said in words, with the strongest targets first", () => {
    const rows = words.map((_, n) => one(n));
    const answer = { tokens, rows, columns: rows, maps: [], left: 0, shape: {} } as unknown as Parameters<
      typeof arcsWords
    >[0];
    expect(arcsWords(answer, values, last).replaceAll("\u00a0", " ")).toBe(
      "“.” (35) looks at “When” (1) with 60.0 %, at “children” (13) with 30.0 % and at itself with 10.0 %.",
    );
    expect(arcsWords(answer, [], last)).toBe("");
  });
});
