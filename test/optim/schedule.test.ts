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

describe("the learning rate of a run that was given more steps", () => {
  const linear: LearningRatePlan = { ...constant, warmupSteps: 2, schedule: { kind: "linear", minLearningRate: 0 } };
  const extended = (schedule: "stretch" | "restart" | "constant", plan = linear, after = 5): LearningRatePlan => ({
    ...plan,
    steps: 11,
    extensions: [{ after, planned: 5, schedule }],
  });

  it("is the former one up to there", () => {
    for (const schedule of ["stretch", "restart", "constant"] as const)
      expect(rates(extended(schedule)).slice(0, 5)).toEqual(rates(linear));
  });

  it("stretch rises over the warm-up to that of a run of all steps, and follows it", () => {
    const whole = rates({ ...linear, steps: 11 });
    const [first = 0, ...rest] = whole.slice(5);
    expectClose(rates(extended("stretch")).slice(5), [first / 2, ...rest]);
    expect(rest.at(-1)).toBe(0);
    // The new schedule begins at the previous rate, not at 0.
    const early = rates(extended("stretch", linear, 3));
    expectClose(early.slice(0, 4), [4, 8, 8, 8 + ((whole[3] ?? 0) - 8) / 2]);
  });

  it("restart rises over the warm-up to the highest, and falls over the added steps", () => {
    expectClose(rates(extended("restart")).slice(5), [4, 8, 8, 16 / 3, 8 / 3, 0]);
  });

  it("constant stays as it was", () => {
    expectClose(rates(extended("constant", { ...linear, schedule: { kind: "linear", minLearningRate: 3 } })).slice(5), [
      ...[3, 3, 3, 3, 3, 3],
    ]);
  });

  it("that is constant stays so, in any case", () => {
    for (const schedule of ["stretch", "restart", "constant"] as const)
      expect(rates(extended(schedule, { ...constant, warmupSteps: 2 })).slice(1)).toEqual(Array(10).fill(8));
  });

  it("follows each extension from where it begins, also a second one, or one of nothing yet", () => {
    const twice: LearningRatePlan = {
      ...extended("stretch"),
      steps: 20,
      extensions: [
        { after: 5, planned: 5, schedule: "stretch" },
        { after: 11, planned: 11, schedule: "restart" },
      ],
    };
    expect(rates(twice).slice(0, 11)).toEqual(rates(extended("stretch")));
    expectClose(rates(twice).slice(11), rates({ ...linear, steps: 9 }));
    const fresh = { ...linear, steps: 9, extensions: [{ after: 0, planned: 5, schedule: "restart" }] } as const;
    expect(rates(fresh)).toEqual(rates({ ...linear, steps: 9 }));
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
