import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backward } from "#foretoken/autograd/context.js";
import { readTensor } from "#foretoken/autograd/tensor.js";
import { forwardLoss } from "#foretoken/models/forward.js";
import { createGradients } from "#foretoken/models/gradients.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { passesOfText } from "#foretoken/trainer/passes.js";
import { slicesOf, tokensOfSlice } from "#foretoken/trainer/slices.js";
import { alone } from "#foretoken/trainer/team.js";
import { trainerOn } from "#foretoken/trainer/trainer.js";
import { compiled, forEachBackend } from "../support/backends.ts";
import { bookModel, hashedIds } from "../support/models.ts";
import { smallRun } from "../support/runs.ts";

const numbers = (length: number): Int32Array => Int32Array.from({ length }, (_, i) => i);
const rowsOfWindows = fc.record({ rows: fc.integer({ min: 1, max: 300 }), time: fc.integer({ min: 1, max: 300 }) });
const lengths = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 100 });
const tokens = fc.integer({ min: 1, max: 4096 });

describe("slicesOf", () => {
  it("divides rows into slices of equal size, and a last one that may be shorter", () => {
    fc.assert(
      fc.property(rowsOfWindows, tokens, ({ rows, time }, most) => {
        const x = numbers(rows * time);
        const y = x.map((id) => id + 1);
        const slices = slicesOf({ x, y, rows, time }, most);
        expect(slices.flatMap((slice) => [...slice.x])).toEqual([...x]);
        expect(slices.flatMap((slice) => [...slice.y])).toEqual([...y]);
        expect(slices.length).toBeLessThanOrEqual(64);
        for (const slice of slices) expect(slice.x).toHaveLength(slice.rows * time);
        const [first] = slices;
        for (const slice of slices.slice(0, -1)) expect(slice.rows).toBe(first?.rows);
        expect(slices.at(-1)?.rows).toBeLessThanOrEqual(first?.rows ?? 0);
        // A slice is full: one more row would not fit, unless the pass has no more rows.
        if (slices.length > 1) expect(((first?.rows ?? 0) + 1) * time).toBeGreaterThan(most);
        if (x.length <= 16 * most && time <= most) expect(first?.x.length).toBeLessThanOrEqual(most);
      }),
    );
  });

  it("divides documents without cutting one", () => {
    fc.assert(
      fc.property(lengths, tokens, (segments, most) => {
        const time = segments.reduce((sum, length) => sum + length, 0);
        const x = numbers(time);
        const slices = slicesOf({ x, y: x, rows: 1, time, segments }, most);
        expect(slices.flatMap((slice) => slice.segments ?? [])).toEqual(segments);
        expect(slices.flatMap((slice) => [...slice.x])).toEqual([...x]);
        expect(slices.length).toBeLessThanOrEqual(64);
        for (const slice of slices) {
          expect(slice.rows).toBe(1);
          expect(slice.segments?.reduce((sum, length) => sum + length, 0)).toBe(slice.time);
          if (time <= 16 * most) expect(slice.segments?.length === 1 || slice.time <= most).toBe(true);
        }
      }),
    );
  });

  it("makes no slice of a pass without tokens", () => {
    expect(slicesOf({ x: numbers(0), y: numbers(0), rows: 0, time: 0, segments: [] }, 1024)).toEqual([]);
  });
});

it("gives a large model longer slices", () => {
  expect(tokensOfSlice({ model: bookModel })).toBe(1024);
  expect(tokensOfSlice({ model: { ...bookModel, nEmbd: 768, nLayer: 12 } })).toBe(2048);
});

forEachBackend(
  "a pass of slices",
  ({ open }) => {
    it("has the loss and the gradient of its rows computed together", async () => {
      const vocabSize = 11;
      const config = resolveConfig("book", [
        smallRun,
        { model: { dropout: 0 }, train: { batchSize: 180, gradAccumSteps: 1 } },
      ]);
      const source = passesOfText(config, hashedIds("slices", 4000, vocabSize), 4096);
      const [batch] = source.passes(0, 0);
      if (batch === undefined) throw new Error("a step has a pass");
      expect(slicesOf(batch, tokensOfSlice(config)).map(({ rows }) => rows)).toEqual([64, 64, 52]);
      const backend = await open(2);
      const trainer = trainerOn(backend, config, vocabSize, source, alone, () => undefined);
      trainer.restore(null);
      const { loss } = await trainer.measure(0);
      const { model } = trainer;
      const whole = createGradients(model);
      whole.clear();
      const { x, y, rows, time } = batch;
      const together = await whole.record((context) => {
        const total = forwardLoss(context, model, x, y, rows, time);
        const reading = readTensor(backend, total);
        backward(context, total, 1 / x.length);
        return reading;
      });
      expect(loss).toBeCloseTo((together[0] ?? 0) / x.length, 5);
      const found = await backend.read(trainer.gradients.arena.storage);
      const expected = await backend.read(whole.arena.storage);
      const norm = await whole.norm();
      let error = 0;
      for (const [i, value] of found.entries()) error += (value - (expected[i] as number)) ** 2;
      expect(norm).toBeGreaterThan(0.01);
      expect(Math.sqrt(error)).toBeLessThan(1e-5 * norm);
      whole.close();
      trainer.close();
      await backend.close();
    });
  },
  compiled,
);
