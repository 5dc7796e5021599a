import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import type { Gradients } from "#foretoken/models/gradients.js";
import { createModel, type Model } from "#foretoken/models/model.js";
import { arraysOfSum, createGradientSum } from "#foretoken/trainer/gradient-sum.js";
import { shareOf } from "#foretoken/trainer/team.js";
import { bookModel } from "../support/models.ts";

let backend: Backend;
let model: Model;
beforeAll(async () => {
  backend = await openReference();
  model = createModel(backend, { ...bookModel, contextLength: 2, nLayer: 1, nHead: 1, nEmbd: 2 }, 3);
});
afterAll(() => backend.close());

/** The gradient of one weight. */
const read = async ({ arena }: Gradients): Promise<number> =>
  (await backend.read(arena.storage, 0, 1))[0] ?? Number.NaN;

const count = fc.integer({ min: 1, max: 40 });

describe("the sum of passes' gradients", () => {
  it("has each pass once, in order, in the arrays that there are for it", async () => {
    await fc.assert(
      fc.asyncProperty(count, async (passes) => {
        const sum = createGradientSum(model, passes);
        expect(sum.storages).toHaveLength(Math.floor(Math.log2(passes)) + 1);
        const asked: number[] = [];
        const losses = await sum.add(0, passes, async (number, gradients) => {
          asked.push(number);
          backend.write(gradients.arena.storage, Float32Array.of(2 ** (number % 20)));
          return [number, 1];
        });
        expect(asked).toEqual(Array.from({ length: passes }, (_, i) => i));
        expect(await read(sum.total)).toBe(asked.reduce((all, number) => all + 2 ** (number % 20), 0));
        expect(losses).toEqual([(passes * (passes - 1)) / 2, passes]);
        const before = backend.bytesInUse();
        sum.close();
        expect(backend.bytesInUse()).toBe(before - arraysOfSum(passes) * model.layout.length * 4);
      }),
    );
  });

  it("is made in an order that rounds alike for shares of 1, 2, 4 and 8 machines", async () => {
    // In float32, the order of these terms changes the last bits.
    const values = Array.from({ length: 40 }, (_, i) => Math.fround(Math.sin(i + 1) * 10 ** (i % 7)));
    const sumOf = async (from: number, to: number): Promise<number> => {
      const sum = createGradientSum(model, to - from);
      await sum.add(from, to, async (number, gradients) => {
        backend.write(gradients.arena.storage, Float32Array.of(values[number] ?? 0));
        return [0];
      });
      const total = await read(sum.total);
      sum.close();
      return total;
    };
    for (const passes of [8, 9, 13, 16, 31, 40]) {
      const whole = await sumOf(0, passes);
      for (const size of [2, 4, 8]) {
        const ranks = Array.from({ length: size }, (_, rank) => shareOf(passes, { rank, size }));
        let sums = await Promise.all(ranks.map(({ from, to }) => sumOf(from, to)));
        while (sums.length > 1) {
          sums = sums.flatMap((sum, i) => (i % 2 === 0 ? [Math.fround(sum + (sums[i + 1] ?? 0))] : []));
        }
        expect(sums, `${passes} passes on ${size} machines`).toEqual([whole]);
      }
    }
  });
});

describe("a machine's share", () => {
  it("is a stretch of the passes; all shares together are all of them, and differ by one at most", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 100 }), (power, more) => {
        const size = 2 ** power;
        const passes = size + more;
        let next = 0;
        const sizes: number[] = [];
        for (let rank = 0; rank < size; rank++) {
          const { from, to } = shareOf(passes, { rank, size });
          expect(from).toBe(next);
          sizes.push(to - from);
          next = to;
        }
        expect(next).toBe(passes);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });

  it("is refused for machines that are no power of two, or have nothing to do", () => {
    for (const team of [
      { rank: 0, size: 3 },
      { rank: 2, size: 2 },
      { rank: -1, size: 2 },
      { rank: 0, size: 0 },
    ]) {
      expect(() => shareOf(8, team)).toThrow(ConfigError);
    }
    expect(() => shareOf(3, { rank: 0, size: 4 })).toThrow(
      "train.gradAccumSteps: a step must have at least one pass for each of 4 machines; got 3; try train.gradAccumSteps 4",
    );
  });
});
