import { expect, it, vi } from "vitest";
import { type Documents, documentsBuilder } from "#foretoken/data/documents.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { passesBetween, passesOfDocuments, passesOfText, passesPerStep } from "#foretoken/trainer/passes.js";
import { shareOf } from "#foretoken/trainer/team.js";
import { hashInteger } from "../support/hash.ts";
import { hashedIds } from "../support/models.ts";
import { smallRun } from "../support/runs.ts";

const size = 4;
const text = hashedIds("passes", 5000, 11);

const documents: Documents = (() => {
  const builder = documentsBuilder("d");
  for (let document = 0; document < 600; document++) {
    builder.add(hashedIds(`document ${document}`, 2 + hashInteger("length", document, 12), 11), true);
    builder.end();
  }
  return builder.build();
})();

/** Each micro-batch has several passes. The ranks share the passes. */
const configOf = (train: object) =>
  resolveConfig("book", [smallRun, { train: { batchSize: 4 * 256 + 5, gradAccumSteps: 2, ...train } }]);

it.each([
  ["random windows", configOf({}), text],
  ["shuffled windows", configOf({ windows: "shuffled" }), text],
  ["documents", configOf({}), documents],
])("a machine reads the tokens of its own passes alone: %s", (_, config, tokens) => {
  const ofText = tokens instanceof Int32Array;
  const source = ofText ? passesOfText(config, tokens) : passesOfDocuments(config, tokens);
  const count = passesPerStep(config, ofText ? "windows" : "documents");
  expect(count).toBe(8);
  const read = vi.spyOn(ofText ? tokens : tokens.ids, "subarray");
  const made = (from: number, to: number) => {
    read.mockClear();
    const passes = [...passesBetween(source, 3, { from, to })];
    return { passes, reads: read.mock.calls.length };
  };
  const all = made(0, count);
  const machines = Array.from({ length: size }, (_, rank) => shareOf(count, { rank, size }));
  const shares = machines.map(({ from, to }) => made(from, to));
  expect(shares.flatMap(({ passes }) => passes)).toEqual(all.passes);
  expect(shares.reduce((sum, { reads }) => sum + reads, 0)).toBe(all.reads);
  // The same holds for shares that begin or end inside a micro-batch.
  expect(made(1, 3).passes).toEqual(all.passes.slice(1, 3));
  expect(made(3, 6).passes).toEqual(all.passes.slice(3, 6));
});
