import { afterAll, beforeAll, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { maskLesson } from "#foretoken/lesson/mask.js";
import type { Piece } from "#foretoken/lesson/piece.js";
import {
  chinese,
  learningSize,
  misleading,
  ofKind,
  piecesOf,
  plain,
  tableWith,
  tinyInput,
  tinySize,
} from "./small-lessons.ts";

let backend: Backend;
let pieces: readonly Piece[];
beforeAll(async () => {
  backend = await openReference();
  pieces = await piecesOf(maskLesson(tinyInput(backend), tinySize));
});
afterAll(() => backend.close());

it("says the same whenever it runs, and leaves nothing in the backend's memory", async () => {
  const before = backend.bytesInUse();
  expect(await piecesOf(maskLesson(tinyInput(backend), tinySize))).toEqual(pieces);
  expect(backend.bytesInUse()).toBe(before);
});

it("shows the answer to each position in what it sees without the mask, and not with it", () => {
  const { line } = tinyInput(backend);
  const rows = tableWith(pieces, "must predict");
  for (const [i, [position, masked, whole, asked]] of rows.entries()) {
    expect(position).toBe(String(i));
    expect(masked).toBe(line.slice(0, i + 1));
    expect(whole?.startsWith(`${masked}[${asked}]`)).toBe(true);
    expect(asked).toBe(line.charAt(i + 1).replace(" ", "␣"));
  }
});

it("lets both curves grow side by side from the same start, the last chart final", () => {
  const charts = ofKind(pieces, "curves");
  expect(charts.map(({ final }) => final)).toEqual(charts.map((_, i) => i === charts.length - 1));
  for (const { curves } of charts) expect(curves[0]?.points.length).toBe(curves[1]?.points.length);
  expect(charts.at(-1)?.curves[0]?.points).toHaveLength(tinySize.steps);
  // Projections start at zero, so before the first update the mask has no effect.
  expect(charts[0]?.curves[0]?.points).toEqual(charts[0]?.curves[1]?.points);
});

it("says that what copied so well does worse than guessing only where it did copy well", () => {
  const prose = ofKind(pieces, "prose")
    .map(({ text }) => JSON.stringify(text))
    .join("\n");
  const [, asTrained, masked] = tableWith(pieces, "loss as trained").at(-1) ?? [];
  const guessing = Number(/loss of ln \d+ = ([\d.]+) nats/u.exec(prose)?.[1]);
  expect(guessing).toBeGreaterThan(0);
  expect(prose.includes("weights that learned to copy")).toBe(
    Number(asTrained) < guessing && Number(masked) > guessing,
  );
});

it("says that a model with the mask has learned its text by heart, and of no other", async () => {
  const found = await piecesOf(maskLesson(tinyInput(backend, {}, misleading), learningSize));
  const said = ofKind(found, "prose").map(({ text }) => plain(text));
  expect(said.at(-1)).toMatch(
    /learned the text by heart: 0\.\d\d nats on its training text, \d+\.\d\d on held-out text, worse than guessing\. A longer text helps\.$/u,
  );
  expect(
    ofKind(pieces, "prose")
      .map(({ text }) => plain(text))
      .at(-1),
  ).not.toContain("by heart");
});

it("counts words only where a text has spaces between them", async () => {
  expect(tableWith(pieces, "dictionary words")).toHaveLength(2);
  const found = await piecesOf(maskLesson(tinyInput(backend, {}, chinese), { ...tinySize, steps: 1 }));
  expect(tableWith(found, "loss as trained").map((row) => row.length)).toEqual([3, 3]);
  expect(JSON.stringify(found)).not.toMatch(/dictionary words/iu);
});
