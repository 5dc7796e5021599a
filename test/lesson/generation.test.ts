import { afterAll, beforeAll, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { renderPiece } from "#foretoken/cli/lesson/render.js";
import { generationLesson } from "#foretoken/lesson/generation.js";
import type { Piece } from "#foretoken/lesson/piece.js";
import { uncoloured } from "./screens.ts";
import { ofKind, piecesOf, plain, tableWith, tinyInput, tinySize } from "./small-lessons.ts";

let backend: Backend;
let pieces: readonly Piece[];
beforeAll(async () => {
  backend = await openReference();
  pieces = await piecesOf(generationLesson(tinyInput(backend), tinySize));
});
afterAll(() => backend.close());

it("says the same whenever it runs, and leaves nothing in the backend's memory", async () => {
  const before = backend.bytesInUse();
  expect(await piecesOf(generationLesson(tinyInput(backend), tinySize))).toEqual(pieces);
  expect(backend.bytesInUse()).toBe(before);
});

it("draws what generate draws: each number falls into the part of its character", () => {
  const rows = tableWith(pieces, "falls into");
  for (const [, number, interval] of rows) {
    const [from, to] = (interval ?? "").split(" to ").map(Number);
    expect(from).toBeLessThanOrEqual(Number(number));
    expect(to).toBeGreaterThanOrEqual(Number(number));
  }
  const after = ofKind(pieces, "columns")[0]?.columns[1]?.text ?? "";
  const drawn = rows.map((row) => row.at(-1)?.replace("␣", " ")).join("");
  expect(drawn).toHaveLength(rows.length);
  expect(after.startsWith(drawn)).toBe(true);
});

it("shows distributions that are whole, flatter at a higher temperature, and cut by top-k", () => {
  const rows = tableWith(pieces, "temp. 1");
  const shares = (column: number): number[] => rows.map((row) => Number.parseFloat(row[column] ?? "") || 0);
  for (const column of [2, 3, 4, 5]) {
    const sum = shares(column).reduce((a, b) => a + b, 0);
    // Each share is rounded to a tenth of a percent.
    expect(Math.abs(sum - 100)).toBeLessThanOrEqual(0.05 * rows.length);
  }
  const [cold, warm, hot] = [2, 3, 4].map((column) => shares(column)[0] ?? 0);
  expect(cold).toBeGreaterThan(warm ?? 0);
  expect(warm).toBeGreaterThan(hot ?? 0);
  expect(rows.filter((row) => row[5] !== "–")).toHaveLength(3);
});

it("lays the candidates end to end, and points at the one that is drawn", () => {
  const [row] = tableWith(pieces, "falls into");
  const [strip] = ofKind(pieces, "strip");
  expect(strip?.shares.at(-1)?.to).toBeCloseTo(1, 9);
  for (const width of [80, 40, 24]) {
    const lines = strip === undefined ? [] : renderPiece(strip, width, uncoloured());
    const [cells = "", pointer = ""] = lines.map((line) => line.slice(4));
    const at = pointer.indexOf("▲");
    expect(Math.floor(Number(row?.[1]) * cells.length)).toBe(at);
    // The border of a candidate may be inside a column.
    expect(cells.slice(Math.max(0, at - 1), at + 2)).toContain(row?.at(-1));
  }
});

it("crops to the context length", () => {
  const line = ofKind(pieces, "lines").at(-1)?.lines.at(-1);
  const [outside = "", window = ""] = plain(line ?? "").split(/[[\]]/);
  expect([...window]).toHaveLength(tinySize.contextLength);
  expect(outside.length).toBeGreaterThan(0);
});

it("continues the reader's whole line, and claims no next character for it", async () => {
  const input = tinyInput(backend, { line: "the dog", isReadersLine: true });
  const found = await piecesOf(generationLesson(input, tinySize));
  expect(ofKind(found, "heading")[0]?.text).toContain("“the dog”");
  expect(ofKind(found, "prose").map(({ text }) => plain(text))).not.toContainEqual(
    expect.stringContaining("new to the model"),
  );
});

it("ends with the signal's reason", async () => {
  const controller = new AbortController();
  const lesson = generationLesson(tinyInput(backend, { signal: controller.signal }), tinySize);
  const before = backend.bytesInUse();
  for (;;) {
    const { value } = await lesson.next();
    if (value?.kind === "curves") break;
  }
  controller.abort(new Error("enough"));
  await expect(piecesOf(lesson)).rejects.toThrow("enough");
  expect(backend.bytesInUse()).toBe(before);
});
