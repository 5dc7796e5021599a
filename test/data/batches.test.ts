import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DataError } from "#foretoken/core/errors/errors.js";
import {
  checkTokenCounts,
  evaluationWindows,
  passRows,
  trainingBatch,
  trainingPasses,
} from "#foretoken/data/batches.js";

/** The value of each token is its position, so a window shows its offset. */
const positions = (length: number): Int32Array => Int32Array.from({ length }, (_, index) => index);

const sizes = fc.record({
  batchSize: fc.integer({ min: 1, max: 7 }),
  contextLength: fc.integer({ min: 1, max: 9 }),
  seed: fc.maxSafeNat(),
  step: fc.nat(10_000),
});

describe("trainingBatch", () => {
  it("takes whole windows of shifted pairs from within the tokens", () => {
    fc.assert(
      fc.property(sizes, fc.nat(40), (options, spare) => {
        const tokens = positions(options.contextLength + 1 + spare);
        const { x, y, rows, time } = trainingBatch(tokens, options);
        expect([rows, time]).toEqual([options.batchSize, options.contextLength]);
        expect([x.length, y.length]).toEqual([rows * time, rows * time]);
        for (let row = 0; row < rows; row++) {
          const from = x[row * time] as number;
          expect(from).toBeGreaterThanOrEqual(0);
          expect(from).toBeLessThanOrEqual(tokens.length - 1 - time);
          for (let t = 0; t < time; t++) {
            expect(x[row * time + t]).toBe(from + t);
            expect(y[row * time + t]).toBe(from + t + 1);
          }
        }
      }),
    );
  });

  it("reaches the first and the last window", () => {
    const tokens = positions(8);
    const { x } = trainingBatch(tokens, { batchSize: 200, contextLength: 4, seed: 1, step: 0 });
    const starts = new Set(x.filter((_, index) => index % 4 === 0));
    expect([...starts].sort()).toEqual([0, 1, 2, 3]);
  });

  it("is a function of seed and step", () => {
    const tokens = positions(10_000);
    const options = { batchSize: 4, contextLength: 8, seed: 1, step: 5 };
    expect(trainingBatch(tokens, options)).toEqual(trainingBatch(tokens, options));
    expect(trainingBatch(tokens, { ...options, step: 6 })).not.toEqual(trainingBatch(tokens, options));
    expect(trainingBatch(tokens, { ...options, seed: 2 })).not.toEqual(trainingBatch(tokens, options));
  });

  it("gives accumulated micro-batches the rows of one big batch", () => {
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 5 }), (options, microSteps) => {
        const tokens = positions(1000);
        const big = trainingBatch(tokens, { ...options, batchSize: options.batchSize * microSteps });
        const parts = Array.from({ length: microSteps }, (_, microStep) =>
          trainingBatch(tokens, { ...options, microStep }),
        );
        expect(parts.flatMap(({ x }) => [...x])).toEqual([...big.x]);
        expect(parts.flatMap(({ y }) => [...y])).toEqual([...big.y]);
      }),
    );
  });

  it("refuses tokens shorter than a window and its last target", () => {
    expect(() => trainingBatch(positions(8), { batchSize: 1, contextLength: 8, seed: 1, step: 0 })).toThrow(DataError);
    expect(trainingBatch(positions(9), { batchSize: 1, contextLength: 8, seed: 1, step: 0 }).y[7]).toBe(8);
  });
});

describe("trainingPasses", () => {
  it("gives the rows of the batch in order, none cut or left out, in parts that are as equal as can be", () => {
    const tokens = positions(300);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(500),
        fc.nat(3),
        (batchSize, contextLength, passTokens, microStep) => {
          const options = { batchSize, contextLength, seed: 3, step: 4, microStep };
          const batch = trainingBatch(tokens, options);
          const passes = [...trainingPasses(tokens, options, passTokens + 1)];
          expect(passes.flatMap(({ x }) => [...x])).toEqual([...batch.x]);
          expect(passes.flatMap(({ y }) => [...y])).toEqual([...batch.y]);
          for (const { x, rows, time } of passes) expect([time, x.length]).toEqual([contextLength, rows * time]);
          const sizes = passes.map(({ rows }) => rows);
          expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        },
      ),
    );
  });

  it("takes the number of passes that comes nearest to the tokens that were asked for", () => {
    const passes = (rows: number, time: number): number => [...passRows(rows, time, 4096)].length;
    expect([passes(32, 128), passes(40, 128), passes(64, 256), passes(2, 8192), passes(1, 1)]).toEqual([1, 1, 4, 2, 1]);
  });

  it("draws a pass when it is asked for, however large the batch is", () => {
    const options = { batchSize: 2 ** 31, contextLength: 64, seed: 1, step: 0 };
    // All passes of the batch together would take 1 TiB.
    const first = trainingPasses(positions(200), options, 4096).next().value;
    expect(first).toEqual(trainingBatch(positions(200), { ...options, batchSize: 64 }));
  });

  it("refuses tokens shorter than a window and its last target", () => {
    const options = { batchSize: 1, contextLength: 8, seed: 1, step: 0 };
    expect(() => trainingPasses(positions(8), options, 4096).next()).toThrow(DataError);
  });
});

describe("evaluationWindows", () => {
  it("predicts every token after the first exactly once, in order", () => {
    const lengths = fc.integer({ min: 0, max: 200 });
    const extents = fc.integer({ min: 1, max: 20 });
    fc.assert(
      fc.property(lengths, extents, extents, (length, contextLength, batchSize) => {
        const targets: number[] = [];
        for (const { x, y, rows, time } of evaluationWindows(positions(length), { contextLength, batchSize })) {
          expect(rows).toBeGreaterThan(0);
          expect(rows).toBeLessThanOrEqual(batchSize);
          expect(time).toBeGreaterThan(0);
          expect(time).toBeLessThanOrEqual(contextLength);
          expect([x.length, y.length]).toEqual([rows * time, rows * time]);
          x.forEach((token, index) => {
            expect(y[index]).toBe(token + 1);
          });
          targets.push(...y);
        }
        expect(targets).toEqual([...positions(length)].slice(1));
      }),
    );
  });

  it("gives only the last batch a shorter window, of one row", () => {
    const batches = [...evaluationWindows(positions(24), { contextLength: 4, batchSize: 2 })];
    expect(batches.map(({ rows, time }) => [rows, time])).toEqual([
      [2, 4],
      [2, 4],
      [1, 4],
      [1, 3],
    ]);
  });
});

describe("checkTokenCounts", () => {
  it("names a training split that is too short, and the ways out", () => {
    expect(() => checkTokenCounts({ train: 128 }, 128)).toThrow(DataError);
    expect(() => checkTokenCounts({ train: 128 }, 128)).toThrow(
      /^training split: .* 129 tokens, one more than the context; got 128; try more text, model\.contextLength 127 or less/,
    );
    expect(() => checkTokenCounts({ train: 0, val: 1 }, 1)).toThrow(/got 0, and 1 held out; try more text, or/);
    expect(() => checkTokenCounts({ train: 1 }, 1)).toThrow(/got 1; try more text, or a smaller valFraction/);
  });

  it("names a validation split without a pair", () => {
    expect(() => checkTokenCounts({ train: 129, val: 1 }, 128)).toThrow(/^validation split: .*got 1; try more text/);
    expect(checkTokenCounts({ train: 129, val: 2 }, 128)).toBeUndefined();
  });
});
