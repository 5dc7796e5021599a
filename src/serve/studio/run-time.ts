/**
 * Expected time of a planned run. The speed comes from an earlier run with the same cost per step, or from a few steps
 * that are timed in the worker of plans.
 */
import type { BackendChoice } from "../../backend/choices.node.ts";
import type { RunConfig } from "../../config/config.ts";
import { estimateSeconds } from "../../runs/duration.ts";
import { readColumns } from "../../runs/list/series.node.ts";
import { median } from "../../runs/time-left.ts";
import { type PlannedRun, type StepTime, timeInWorker } from "../../worker/plan.node.ts";
import { HttpError } from "../http/http-error.ts";
import type { Jobs } from "./jobs.ts";
import type { PlanTime, RunPlan } from "./protocol.ts";
import type { RunShelf } from "./runs.ts";
import type { Turns } from "./turns.ts";

export interface RunTimeParts {
  readonly shelf: RunShelf;
  readonly jobs: Pick<Jobs, "current">;
  /** Turns for computations: steps are timed while no text is written. */
  readonly turns: Turns;
  readonly backend: BackendChoice | undefined;
  readonly threads: number | undefined;
}

export interface RunTimes {
  /** The time of a run if its speed is known. Otherwise the name under which `measured` times it, if it can be timed. */
  planned(run: PlannedRun, signal: AbortSignal): Promise<Pick<RunPlan, "seconds" | "timing">>;
  /**
   * Times steps of the run with this name. A newer call, or `stop`, ends the measurement with the result null.
   * @throws HttpError for an unknown name, and the reason of the signal if it is aborted.
   */
  measured(name: string, signal: AbortSignal): Promise<PlanTime>;
  /** Ends a measurement in progress, because a run begins or another run is planned. */
  stop(): void;
}

/** Number of last steps of a run from which the speed is computed. */
const timedSteps = 50;

/** Number of planned runs that can be timed, and number of remembered speeds. */
const [mostNames, mostSpeeds] = [16, 1000];

/** A key for a configuration. Two configurations have the same key if their steps take the same time. */
const costKey = (config: RunConfig, vocabSize: number): string => {
  const { model, lora, train } = config;
  const { optimizer, recomputeActivations, average, rows, teacher } = train;
  return JSON.stringify([
    { ...model, initStd: 0 },
    lora ?? null,
    train.dtype,
    // A step of many small micro-batches takes longer than a step of one large one.
    [train.batchSize, train.gradAccumSteps],
    vocabSize,
    optimizer.kind,
    recomputeActivations ?? false,
    ...[average?.kind, rows, teacher].map((one) => one ?? null),
  ]);
};

/** Seconds of the whole run, with evaluations and samples. */
const secondsOf = ({ config, valTokens, work }: PlannedRun, stepSeconds: number): number =>
  estimateSeconds(config, stepSeconds, { ...work, step: 0, lastStep: config.train.steps, valTokens });

const stepSecondsOf = ({ work }: PlannedRun, { tokenSeconds, updateSeconds }: StepTime): number =>
  work.stepTokens * tokenSeconds + updateSeconds;

/** Seconds of a step in the latest run with the same cost per step. Undefined: there is no such run. */
const earlierStepSeconds = async (
  { config, vocabSize, work }: PlannedRun,
  shelf: RunShelf,
  signal: AbortSignal,
): Promise<number | undefined> => {
  const key = costKey(config, vocabSize);
  const { runs } = await shelf.list();
  const alike = runs.find(
    (run) => run.vocabSize === vocabSize && run.step > 1 && costKey(run.config, vocabSize) === key,
  );
  if (alike === undefined) return undefined;
  // With this limit, `readColumns` returns all of the last 50 steps.
  const { steps, computedBy } = await readColumns((await shelf.find(alike.name)).path, 4 * timedSteps, signal);
  // The speed of another backend, or of another number of threads, says nothing.
  if (computedBy?.backend !== work.backend || computedBy.threads !== work.threads) return undefined;
  const rate = median(steps.tokensPerSecond.slice(-timedSteps));
  return rate === undefined || rate <= 0 ? undefined : work.stepTokens / rate;
};

/** Adds to a map that keeps only its last `most` entries. */
const keep = <T>(map: Map<string, T>, key: string, value: T, most: number): void => {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= most) return;
    map.delete(oldest);
  }
};

export const createRunTimes = ({ shelf, jobs, turns, backend, threads }: RunTimeParts): RunTimes => {
  const speeds = new Map<string, StepTime>();
  const named = new Map<string, PlannedRun>();
  let names = 0;
  let measuring: AbortController | undefined;
  const stop = (): void => measuring?.abort();

  /** Undefined: a run is in progress. */
  const timed = async ({ config, vocabSize }: PlannedRun, signal: AbortSignal): Promise<StepTime | undefined> => {
    const key = costKey(config, vocabSize);
    const turn = await turns.take(signal);
    try {
      const known = speeds.get(key);
      if (known !== undefined || jobs.current() !== undefined) return known;
      const speed = await timeInWorker({ config, vocabSize, backend, threads }, signal);
      keep(speeds, key, speed, mostSpeeds);
      return speed;
    } finally {
      turn.release();
    }
  };

  return {
    async planned(run, signal) {
      const { config, vocabSize, work } = run;
      const earlier = await earlierStepSeconds(run, shelf, signal);
      if (earlier !== undefined) return { seconds: secondsOf(run, earlier), timing: null };
      const speed = speeds.get(costKey(config, vocabSize));
      if (speed !== undefined) return { seconds: secondsOf(run, stepSecondsOf(run, speed)), timing: null };
      if (!work.canTime || jobs.current() !== undefined) return { seconds: null, timing: null };
      const timing = String(++names);
      keep(named, timing, run, mostNames);
      return { seconds: null, timing };
    },
    async measured(name, signal) {
      const run = named.get(name);
      if (run === undefined)
        throw new HttpError(404, "plan: must be one of the last plans; got another; try a new plan");
      stop();
      const controller = new AbortController();
      measuring = controller;
      try {
        const speed = await timed(run, AbortSignal.any([signal, controller.signal]));
        return { seconds: speed === undefined ? null : secondsOf(run, stepSecondsOf(run, speed)) };
      } catch (error) {
        if (!controller.signal.aborted) throw error;
        return { seconds: null };
      } finally {
        if (measuring === controller) measuring = undefined;
      }
    },
    stop,
  };
};
