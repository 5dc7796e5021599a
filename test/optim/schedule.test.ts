import { describe, expect, it } from "vitest";
import { clipFactor } from "#foretoken/optim/clip.js";
import { type LearningRatePlan, learningRateAt } from "#foretoken/optim/schedule.js";

const rates = (plan: LearningRatePlan): number[] =>
  Array.from({ length: plan.steps }, (_, step) => learningRateAt(plan, step));

const constant: LearningRatePlan = { learningRate: 8, warmupSteps: 0, steps: 5, schedule: { kind: "constant" } };
const cosine: LearningRatePlan = { ...constant, schedule: { kind: "cosine", minLearningRate: 2 } };

const expectClose = (actual: readonly number[], expected: readonly number[]): void => {
  expect(actual.length).toBe(expected.length);
  for (const [i, value] of expected.entries()) expect(actual[i]).toBeCloseTo(value, 12);
};

describe("a learning rate schedule", () => {
  it("constant is constant", () => expect(rates(constant)).toEqual([8, 8, 8, 8, 8]));

  it("cosine falls from the highest at the first step to the lowest at the last, halfway in the middle", () => {
    const quarter = 2 + 6 * 0.5 * (1 + Math.SQRT1_2);
    expectClose(rates(cosine), [8, quarter, 5, 10 - quarter, 2]);
  });

  it("linear falls by the same amount at each step", () => {
    expectClose(rates({ ...cosine, schedule: { kind: "linear", minLearningRate: 2 } }), [8, 6.5, 5, 3.5, 2]);
  });

  it("warms up linearly, never from 0, and reaches the highest", () => {
    expectClose(rates({ ...constant, warmupSteps: 4 }), [2, 4, 6, 8, 8]);
    expectClose(rates({ ...cosine, warmupSteps: 2 }), [4, 8, 8, 5, 2]);
  });

  it("may be all warm-up, or longer than the run", () => {
    expectClose(rates({ ...cosine, warmupSteps: 5 }), [1.6, 3.2, 4.8, 6.4, 8]);
    expectClose(rates({ ...cosine, warmupSteps: 16 }), [0.5, 1, 1.5, 2, 2.5]);
    expectClose(rates({ ...cosine, warmupSteps: 4 }), [2, 4, 6, 8, 2]);
    expectClose(rates({ ...cosine, steps: 1 }), [2]);
  });

  it("is finite for every length of run and warm-up", () => {
    for (let steps = 1; steps < 8; steps++) {
      for (let warmupSteps = 0; warmupSteps < 10; warmupSteps++) {
        for (const rate of rates({ ...cosine, steps, warmupSteps })) {
          expect(rate).toBeGreaterThan(0);
          expect(rate).toBeLessThanOrEqual(8);
        }
      }
    }
  });
});

describe("clipping", () => {
  it("scales a longer gradient to the given norm and leaves a shorter one", () => {
    expect(clipFactor(10, 2) * 10).toBeCloseTo(2, 5);
    expect(clipFactor(1.5, 2)).toBe(1);
    expect(clipFactor(0, 2)).toBe(1);
  });

  it("0 is off", () => expect(clipFactor(1e9, 0)).toBe(1));
});
