import { describe, expect, it } from "vitest";
import { type RandomStream, randomKey, randomStream } from "#foretoken/core/random.js";
import { type Endings, type Part, type SchedulePlan, schedule } from "#foretoken/sweep/schedule.js";
import { halfWidthOfPairs, noiseOf, probabilityOf } from "#foretoken/sweep/statistics.js";

type LossOf = (part: Part) => number;

interface Trained {
  readonly endings: Endings;
  readonly phases: readonly (readonly Part[])[];
  readonly steps: number;
}

/** Executes a schedule with made-up losses. */
const trained = (
  plan: SchedulePlan,
  lossOf: LossOf,
  failure: (setting: number) => string | null = () => null,
  minutesPerStep = 0,
): Trained => {
  const phases: (readonly Part[])[] = [];
  const until = new Map<string, number>();
  const total = () => [...until.values()].reduce((sum, steps) => sum + steps, 0);
  const going = schedule(plan);
  let next = going.next();
  while (next.done !== true) {
    phases.push(next.value);
    for (const part of next.value) until.set(`${part.setting} ${part.seed}`, part.until);
    const steps = ({ until: done }: Part) => done;
    const minutes = (total() * minutesPerStep) / plan.jobs;
    next = going.next({ loss: lossOf, steps, failure, minutes, minutesPerStep: () => minutesPerStep });
  }
  return { endings: next.value, phases, steps: total() };
};

const settings = (count: number, steps = 100) => Array.from({ length: count }, () => ({ steps, evalInterval: 10 }));
const planOf = (count: number, plan: Partial<SchedulePlan> = {}): SchedulePlan => ({
  ...{ settings: settings(count), seeds: 3, stop: { kind: "race", error: 0.05 }, jobs: 1 },
  ...plan,
});
const kinds = ({ endings }: Trained) => endings.map(({ kind }) => kind);

describe("a race", () => {
  it("stops settings that are far above others, before they have all seeds; the others finish", () => {
    const noise = [0, 0.002, -0.001, 0.003, -0.002];
    const lossOf: LossOf = ({ setting, seed }) => 1 + 0.1 * setting + (noise[(3 * setting + 2 * seed) % 5] ?? 0);
    const found = trained(planOf(6), lossOf);
    expect(kinds(found)).toEqual(["finished", "race", "race", "race", "race", "race"]);
    // The settings that are in the worse half after the first test have only one seed.
    expect(found.endings.map((ending) => (ending.kind === "race" ? ending.seeds : 3))).toEqual([3, 2, 2, 1, 1, 1]);
    expect(found.steps).toBe(100 * (6 + 3 + 1));
    expect(found.phases.map((parts) => parts.length)).toEqual([6, 3, 1]);
  });

  it("stops none of settings that are alike", () => {
    const stream = randomStream(randomKey(1, "sampling"));
    const losses = Array.from({ length: 18 }, () => 1 + 0.01 * stream.normal());
    const found = trained(planOf(6), ({ setting, seed }) => losses[3 * setting + seed] ?? 0);
    expect(kinds(found)).toEqual(Array(6).fill("finished"));
    expect(found.steps).toBe(1800);
  });

  const drawn = (stream: RandomStream, count: number, spread: number) => {
    const level = Array.from({ length: count }, () => spread * stream.normal());
    const shared = [0, 1, 2].map(() => stream.normal());
    const losses = level.map((mean) => shared.map((seed) => 10 + mean + seed + stream.normal()));
    return {
      best: level.indexOf(Math.min(...level)),
      lossOf: (({ setting, seed }) => losses[setting]?.[seed] ?? 0) as LossOf,
    };
  };

  it("stops the best setting in fewer than one of twenty sweeps, whether settings are alike or not", () => {
    for (const spread of [0, 1, 4]) {
      const stream = randomStream(randomKey(spread, "sampling"));
      const lost = Array.from({ length: 300 }, () => {
        const { best, lossOf } = drawn(stream, 8, spread);
        return trained(planOf(8), lossOf).endings[best]?.kind !== "finished";
      });
      expect(lost.filter(Boolean).length / 300).toBeLessThanOrEqual(0.05);
    }
  });

  it("trains every seed to its end where nothing may stop", () => {
    const found = trained(planOf(3, { stop: { kind: "never" } }), ({ setting }) => setting);
    expect(kinds(found)).toEqual(["finished", "finished", "finished"]);
    expect(found.phases.map((parts) => parts.length)).toEqual([3, 3, 3]);
  });
});

describe("halving", () => {
  it("lets the better half go on after each stage, at the evaluation after its share", () => {
    const found = trained(
      planOf(8, { seeds: 2, stop: { kind: "halving", stages: [0.25, 0.5] } }),
      ({ setting }) => setting,
    );
    expect(kinds(found)).toEqual(["finished", "finished", ...Array(6).fill("halving")]);
    expect(found.endings.slice(2).map((ending) => (ending.kind === "halving" ? ending.share : 1))).toEqual([
      ...[0.5, 0.5],
      ...[0.25, 0.25, 0.25, 0.25],
    ]);
    expect(found.phases.map((parts) => [parts.length, parts[0]?.until])).toEqual([
      [16, 30],
      [8, 50],
      [4, 100],
    ]);
  });

  it("refuses stages without an evaluation, and says which interval would do", () => {
    const plan = planOf(4, {
      settings: [{ steps: 100, evalInterval: 60 }],
      stop: { kind: "halving", stages: [0.25, 0.5] },
    });
    expect(() => trained(plan, () => 1)).toThrow(
      "train.evalInterval: must be small enough for an evaluation in each stage; got 60 of 100 steps in setting 1; try train.evalInterval 25",
    );
  });
});

describe("a budget", () => {
  it("of steps is never exceeded: the best settings go on for which it has room", () => {
    const budget = { steps: 1000 };
    const found = trained(planOf(6, { stop: { kind: "never" }, budget }), ({ setting }) => 6 - setting);
    // The first seed needs 600 steps. Two more seeds of two settings need 400 steps in total.
    expect(kinds(found)).toEqual(["budget", "budget", "budget", "budget", "finished", "finished"]);
    expect(found.steps).toBe(1000);
    expect(() => trained(planOf(6, { budget: { steps: 799 } }), () => 1)).toThrow(
      "budget.steps: must be enough to begin every setting and to finish one setting; got 799; try 800",
    );
  });

  it("of minutes counts the time of the steps so far; the best setting always finishes", () => {
    const plan = planOf(4, { stop: { kind: "never" }, budget: { minutes: 8 } });
    // A step takes a hundredth of a minute. The first seed takes 4 minutes, and each setting that continues takes 2
    // minutes.
    expect(kinds(trained(plan, ({ setting }) => setting, undefined, 0.01))).toEqual([
      "finished",
      "finished",
      "budget",
      "budget",
    ]);
    expect(kinds(trained(plan, ({ setting }) => setting, undefined, 1))).toEqual([
      "finished",
      "budget",
      "budget",
      "budget",
    ]);
  });
});

it("a setting that has failed is left out", () => {
  const found = trained(
    planOf(3),
    ({ setting }) => setting,
    (setting) => (setting === 0 ? "loss NaN" : null),
  );
  expect(found.endings[0]).toEqual({ kind: "failed", reason: "loss NaN" });
  expect(found.phases.flat().filter(({ setting }) => setting === 0)).toHaveLength(1);
});

describe("the statistics of settings and seeds", () => {
  it("take the variance that neither explains", () => {
    // Fisher's test by hand. The residuals of 2 by 2 losses are ±0.5, with one degree of freedom.
    expect(
      noiseOf([
        [1, 2],
        [3, 6],
      ]),
    ).toEqual({ variance: 1, degrees: 1 });
    expect(
      noiseOf([
        [1, 2, 3],
        [4, 5, 6],
      ]),
    ).toEqual({ variance: 0, degrees: 2 });
    expect(noiseOf([[1], [2]])).toBeUndefined();
  });

  it("are those of Student's t", () => {
    const noise = { variance: 1, degrees: 15 };
    expect(halfWidthOfPairs(2, noise)).toBeCloseTo(2.13144955, 6);
    expect(probabilityOf(2.13144955, 2, noise)).toBeCloseTo(0.025, 7);
    expect(probabilityOf(-2.13144955, 2, noise)).toBeCloseTo(0.975, 7);
    expect(probabilityOf(0.1, 2, { variance: 0, degrees: 3 })).toBe(0);
  });
});
