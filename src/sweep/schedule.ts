/**
 * Decides when the runs of a sweep are trained, and which settings end early. Decisions depend only on losses and, for
 * a budget in minutes, on recorded times. Therefore a resumed sweep decides in the same way.
 */
import { ConfigError } from "../core/errors/errors.ts";
import { mean, noiseOf, probabilityOf } from "./statistics.ts";
import type { StopRule } from "./sweep-config.ts";

/** A part of a run: up to a step. */
export interface Part {
  /** Index of the setting, from 0. */
  readonly setting: number;
  /** Index of the seed, from 0. */
  readonly seed: number;
  /** Last step of the part. */
  readonly until: number;
}

/** Measurements of finished parts. */
export interface Measured {
  /** Lowest loss so far on the text that is used to choose the winner, in nats per character. */
  readonly loss: (part: Part) => number;
  /** Steps done; fewer than planned if the run stopped early for lack of progress. */
  readonly steps: (part: Part) => number;
  /** Reason why a setting failed; null if it did not fail. */
  readonly failure: (setting: number) => string | null;
  /** Minutes that the sweep has taken so far. */
  readonly minutes: number;
  /** Minutes per step of a setting. */
  readonly minutesPerStep: (setting: number) => number;
}

/** The setting finished: all its runs were trained to their ends. */
export interface FinishedEnding {
  /** Which ending it is. */
  readonly kind: "finished";
}

/** The setting failed: a step of one of its runs was not finite, or exploded. */
export interface FailedEnding {
  /** Which ending it is. */
  readonly kind: "failed";
  /** The error as one line. */
  readonly reason: string;
}

/** The setting was stopped because a test found another setting better. */
export interface RaceEnding {
  /** Which ending it is. */
  readonly kind: "race";
  /** Probability of a difference this large if the settings were equally good. */
  readonly p: number;
  /** Number of the setting's seeds that were trained before it was stopped. */
  readonly seeds: number;
}

/** The setting was stopped because it was in the worse half. */
export interface HalvingEnding {
  /** Which ending it is. */
  readonly kind: "halving";
  /** Share of the setting's steps that were trained before it was stopped. */
  readonly share: number;
}

/** The setting was stopped because it did not fit into the budget. */
export interface BudgetEnding {
  /** Which ending it is. */
  readonly kind: "budget";
}

/** How a setting ended. */
export type Ending = FinishedEnding | FailedEnding | RaceEnding | HalvingEnding | BudgetEnding;

export interface SchedulePlan {
  readonly settings: readonly { readonly steps: number; readonly evalInterval: number }[];
  /** Number of seeds. */
  readonly seeds: number;
  readonly stop: StopRule;
  readonly budget?: { readonly steps: number } | { readonly minutes: number } | undefined;
  /** Number of runs that train at the same time. */
  readonly jobs: number;
}

/** Result of a sweep: how each setting ended. */
export type Endings = readonly Ending[];

type Phases<Result> = Generator<readonly Part[], Result, Measured>;

/** Step of the first evaluation at or after a share of the steps. */
const stepAt = ({ steps, evalInterval }: SchedulePlan["settings"][number], share: number): number =>
  share === 1 ? steps : Math.ceil((share * steps) / evalInterval - 1e-9) * evalInterval;

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, value) => sum + value, 0);

/** @throws ConfigError if a stage has no evaluation of its own, or if the budget is too small to finish any setting. */
export const checkPlan = ({ settings, seeds, stop, budget }: Omit<SchedulePlan, "jobs">): void => {
  const shares = stop.kind === "halving" ? stop.stages : [];
  for (const [i, setting] of settings.entries()) {
    const ends = [0, ...shares.map((share) => stepAt(setting, share)), setting.steps];
    if (ends.every((end, k) => k === 0 || end > (ends[k - 1] as number))) continue;
    const smallest = Math.min(...shares.map((share, k) => share - (shares[k - 1] ?? 0)), 1 - (shares.at(-1) ?? 0));
    throw new ConfigError({
      where: "train.evalInterval",
      must: "must be small enough for an evaluation in each stage",
      got: `${setting.evalInterval} of ${setting.steps} steps in setting ${i + 1}`,
      hint: `train.evalInterval ${Math.max(1, Math.floor(setting.steps * smallest))}`,
    });
  }
  if (budget === undefined || !("steps" in budget)) return;
  const [share] = shares;
  const first = settings.map((setting) => (share === undefined ? setting.steps : seeds * stepAt(setting, share)));
  const rest = settings.map(({ steps }, i) => seeds * steps - (first[i] ?? 0));
  const least = sumOf(first) + Math.max(...rest);
  if (least <= budget.steps) return;
  throw new ConfigError({
    where: "budget.steps",
    must: "must be enough to begin every setting and to finish one setting",
    got: String(budget.steps),
    hint: String(least),
  });
};

/** State of a sweep: the finished parts, and how settings ended. */
const openState = (plan: SchedulePlan, endings: Map<number, Ending>) => {
  const parts = new Map<string, Part>();
  let measured: Measured | undefined;
  const partOf = (setting: number, seed: number): Part | undefined => parts.get(`${setting} ${seed}`);
  const lossOf = (setting: number, seed: number): number => {
    const part = partOf(setting, seed);
    return part === undefined || measured === undefined ? Number.POSITIVE_INFINITY : measured.loss(part);
  };
  const seedsOf = (setting: number): readonly number[] =>
    Array.from({ length: plan.seeds }, (_, seed) => seed).filter((seed) => partOf(setting, seed) !== undefined);
  const meanOf = (setting: number): number => mean(seedsOf(setting).map((seed) => lossOf(setting, seed)));
  const alive = (): readonly number[] => plan.settings.map((_, i) => i).filter((i) => !endings.has(i));
  /** Settings that have not ended, best first. Equal settings keep their order. */
  const ranked = (): readonly number[] => [...alive()].sort((a, b) => meanOf(a) - meanOf(b) || a - b);
  return {
    ...{ seedsOf, lossOf, meanOf, alive, ranked, endings },
    /** Yields parts to train; afterwards ends the settings that failed. */
    *train(next: readonly Part[]): Phases<void> {
      if (next.length === 0) return;
      measured = yield next;
      for (const part of next) parts.set(`${part.setting} ${part.seed}`, part);
      for (const setting of alive()) {
        const reason = measured.failure(setting);
        if (reason !== null) endings.set(setting, { kind: "failed", reason });
      }
    },
    /**
     * Ends settings that do not fit into the budget. The best settings continue; at least one setting always continues.
     */
    keepWithin(): void {
      const { budget, settings, seeds, jobs } = plan;
      if (budget === undefined || measured === undefined) return;
      const known = measured;
      const left =
        "steps" in budget ? budget.steps - sumOf([...parts.values()].map(known.steps)) : budget.minutes - known.minutes;
      const costOf = (setting: number): number => {
        const all = seeds * (settings[setting]?.steps ?? 0);
        const rest = all - sumOf(seedsOf(setting).map((seed) => partOf(setting, seed)?.until ?? 0));
        return "steps" in budget ? rest : (rest * known.minutesPerStep(setting)) / jobs;
      };
      let cost = 0;
      for (const [rank, setting] of ranked().entries()) {
        cost += costOf(setting);
        if (rank > 0 && cost > left) endings.set(setting, { kind: "budget" });
      }
    },
  };
};

type State = ReturnType<typeof openState>;

/**
 * Ends each setting for which the test finds a better setting. Two settings are compared on the seeds that both have.
 * The noise is estimated from the settings with the most seeds.
 * @param level significance level of one test.
 */
const endByTest = ({ alive, seedsOf, lossOf, endings }: State, level: number): void => {
  const settings = alive();
  const most = Math.max(...settings.map((setting) => seedsOf(setting).length));
  const complete = settings.filter((setting) => seedsOf(setting).length === most);
  const noise = noiseOf(complete.map((setting) => seedsOf(setting).map((seed) => lossOf(setting, seed))));
  if (noise === undefined) return;
  for (const setting of settings) {
    const own = seedsOf(setting);
    const smallest = Math.min(
      ...settings.map((other) => {
        const common = own.filter((seed) => seedsOf(other).includes(seed));
        if (other === setting) return 1;
        const difference = mean(common.map((seed) => lossOf(setting, seed) - lossOf(other, seed)));
        return probabilityOf(difference, common.length, noise);
      }),
    );
    if (smallest < level) endings.set(setting, { kind: "race", p: smallest, seeds: own.length });
  }
};

type Tested = Extract<StopRule, { readonly kind: "race" }>;

/** The runs of some settings with a seed, from their beginnings to their ends. Settings that have ended are left out. */
const wholeRuns = ({ settings }: SchedulePlan, state: State, some: readonly number[], seed: number): readonly Part[] =>
  some.filter((i) => !state.endings.has(i)).map((setting) => ({ setting, seed, until: settings[setting]?.steps ?? 0 }));

/**
 * Trains one seed after the other, and each run to its end: before the end of a learning-rate schedule, losses cannot
 * be compared fairly. From the second seed on, the best settings are trained first, so that their losses show how much
 * losses vary.
 * Settings are tested against each other after these settings and, except for the last seed, again after the others.
 *
 * `per` "sweep": the level of each test is `error` divided by the number of rounds of tests and by the number of other
 * settings (Bonferroni). So the best setting is stopped with a probability of at most `error`, if losses are normally
 * distributed with equal variance. The better half is trained first.
 *
 * `per` "comparison": the level of each test is `error`, as in F-race and irace (Birattari et al. 2002, "A racing
 * algorithm for configuring metaheuristics"; López-Ibáñez et al. 2016, "The irace package"). The best third is trained
 * first, because a test at this level needs fewer measurements of the noise.
 */
function* race(plan: SchedulePlan, state: State, { error, per = "sweep" }: Tested): Phases<void> {
  const { seeds, settings } = plan;
  const looks = Math.max(1, 2 * (seeds - 2) + 1);
  const level = per === "sweep" ? error / (looks * (settings.length - 1)) : error;
  const firstOf = (count: number): number =>
    per === "sweep" ? Math.max(2, Math.ceil(count / 2)) : Math.max(3, Math.ceil(count / 3));
  for (let seed = 0; seed < seeds; seed++) {
    if (seed === 0) yield* state.train(wholeRuns(plan, state, state.alive(), seed));
    else {
      const ranked = state.ranked();
      const first = firstOf(ranked.length);
      yield* state.train(wholeRuns(plan, state, ranked.slice(0, first), seed));
      endByTest(state, level);
      yield* state.train(wholeRuns(plan, state, ranked.slice(first), seed));
      if (seed < seeds - 1) endByTest(state, level);
    }
    state.keepWithin();
  }
}

/** Trains every run to its end. */
function* never(plan: SchedulePlan, state: State): Phases<void> {
  for (let seed = 0; seed < plan.seeds; seed++) {
    yield* state.train(wholeRuns(plan, state, state.alive(), seed));
    state.keepWithin();
  }
}

/**
 * Successive halving (Jamieson and Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter
 * optimization").
 */
function* halving(plan: SchedulePlan, state: State, stages: readonly number[]): Phases<void> {
  const { seeds, settings } = plan;
  for (const [stage, share] of [...stages, 1].entries()) {
    yield* state.train(
      state.alive().flatMap((setting) =>
        Array.from({ length: seeds }, (_, seed) => ({
          ...{ setting, seed },
          until: stepAt(settings[setting] as SchedulePlan["settings"][number], share),
        })),
      ),
    );
    if (share === 1) return;
    const most = Math.ceil(settings.length / 2 ** (stage + 1));
    for (const setting of state.ranked().slice(most)) state.endings.set(setting, { kind: "halving", share });
    state.keepWithin();
  }
}

/**
 * Yields lists of parts to train, receives their losses, and returns how each setting ended.
 * @param endings receives the ending of each setting that ends early, by the setting's index, as soon as it ends.
 * @throws ConfigError for an impossible plan.
 */
export function* schedule(plan: SchedulePlan, endings = new Map<number, Ending>()): Phases<Endings> {
  checkPlan(plan);
  const state = openState(plan, endings);
  const { stop } = plan;
  yield* stop.kind === "halving"
    ? halving(plan, state, stop.stages)
    : stop.kind === "race"
      ? race(plan, state, stop)
      : never(plan, state);
  return plan.settings.map((_, i) => state.endings.get(i) ?? { kind: "finished" });
}
