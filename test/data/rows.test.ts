import { describe, expect, it } from "vitest";
import { type Documents, documentsBuilder } from "#foretoken/data/documents.js";
import { batchOfPieces, documentRows, passesOfRows, piecesOf, piecesToMake, sizeOfRows } from "#foretoken/data/rows.js";
import { hashInteger } from "../support/hash.ts";

/**
 * Documents of these lengths with the tokens 0, 1, 2, …. Every third token and the last token of each document count in
 * the loss.
 */
const documentsOf = (lengths: readonly number[]): Documents => {
  const builder = documentsBuilder("d");
  let id = 0;
  for (const length of lengths) {
    for (let i = 0; i < length; i++) {
      builder.add(Int32Array.of(id), id % 3 === 0 || i === length - 1);
      id++;
    }
    builder.end();
  }
  return builder.build();
};

const contextLength = 16;
const lengths = Array.from({ length: 200 }, (_, i) => 2 + hashInteger("lengths", i, 12));
const documents = documentsOf(lengths);

describe("pieces of documents", () => {
  it("are documents that fit, and parts of longer ones, of which each token is a target once", () => {
    const long = documentsOf([5, 40, 1]);
    const pieces = piecesOf(long, 16);
    expect([...pieces.from]).toEqual([0, 5, 21, 37]);
    expect([...pieces.lengths]).toEqual([4, 16, 16, 7]);
    expect(pieces).toMatchObject({ cut: 1, piecesOfCut: 3, leftOut: 0, longest: { document: 1, length: 39 } });
    const { x, y, segments } = batchOfPieces(long, pieces, [0, 3]);
    expect([...x]).toEqual([0, 1, 2, 3, 37, 38, 39, 40, 41, 42, 43]);
    expect([...y]).toEqual([-1, -1, 3, 4, -1, 39, -1, -1, 42, -1, 44]);
    expect(segments).toEqual([4, 7]);
  });

  it("are left out without a target that counts", () => {
    const builder = documentsBuilder("d");
    builder.add(new Int32Array(20), false);
    builder.add(Int32Array.of(1), true);
    builder.end();
    const pieces = piecesOf(builder.build(), 8);
    expect([...pieces.from]).toEqual([16]);
    expect(pieces).toMatchObject({ cut: 1, piecesOfCut: 3, leftOut: 2 });
  });
});

describe.each(["packed", "one"] as const)("rows, %s", (kind) => {
  const rows = documentRows(documents, { contextLength, kind, seed: 3 });

  it("have every piece once in a pass over all of them, in another order in each", () => {
    const epochs: number[][] = [];
    let next = 0;
    for (let epoch = 0; epoch < 3; epoch++) {
      const seen: number[] = [];
      while (seen.length < lengths.length) seen.push(...rows.row(next++));
      expect([...seen].sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
      epochs.push(seen);
      if (epoch === 0) expect(next).toBe(rows.perEpoch);
    }
    expect(epochs[1]).not.toEqual(epochs[0]);
    expect(epochs[2]).not.toEqual(epochs[1]);
  });

  it("fit into the context, and are nearly full where they are packed", () => {
    let tokens = 0;
    for (let row = 0; row < rows.perEpoch; row++) {
      const pieces = [...rows.row(row)];
      const length = pieces.reduce((sum, piece) => sum + (rows.pieces.lengths[piece] ?? 0), 0);
      expect(length).toBeLessThanOrEqual(contextLength);
      if (kind === "one") expect(pieces).toHaveLength(1);
      tokens += length;
    }
    if (kind === "packed") expect(tokens / (rows.perEpoch * contextLength)).toBeGreaterThan(0.9);
  });

  it("are a function of the seed and their number", () => {
    const other = documentRows(documents, { contextLength, kind, seed: 3 });
    // Rows are read out of order: first a late row, then earlier rows.
    for (const row of [1000, 999, 3, 400, 0]) expect([...other.row(row)]).toEqual([...rows.row(row)]);
    const seeded = documentRows(documents, { contextLength, kind, seed: 4 });
    expect([...seeded.row(0), ...seeded.row(1)]).not.toEqual([...rows.row(0), ...rows.row(1)]);
  });

  it("go through the model in the passes that there are", () => {
    for (const passes of [1, 2, 3, 7]) {
      const batches = [...passesOfRows(documents, rows, { from: 5, to: 12, passes, contextLength })];
      expect(batches).toHaveLength(passes);
      const { tokens, targets } = sizeOfRows(rows, 5, 12);
      expect(batches.reduce((sum, { x }) => sum + x.length, 0)).toBe(tokens);
      expect(batches.reduce((sum, { y }) => sum + y.filter((id) => id >= 0).length, 0)).toBe(targets);
      for (const { x, segments = [], time } of batches) {
        expect(time).toBe(x.length);
        expect(segments.reduce((sum, length) => sum + length, 0)).toBe(x.length);
        expect(time).toBeLessThanOrEqual(Math.ceil(7 / passes) * contextLength);
      }
    }
  });
});

it("an evaluation has every piece once, in order", () => {
  const pieces = piecesOf(documents, contextLength);
  const batches = [...piecesToMake(documents, pieces, 64)].map((make) => make());
  expect(batches.flatMap(({ segments = [] }) => segments)).toEqual([...pieces.lengths]);
  expect(Math.max(...batches.map(({ time }) => time))).toBeLessThanOrEqual(64);
  expect(batches.length).toBeLessThan(30);
});
