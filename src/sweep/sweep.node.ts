import { join } from "node:path";
import { given } from "../config/given.ts";
import { conclude, type TrainedParts } from "./conclude.node.ts";
import { eventQueue, inJobs } from "./event-queue.ts";
import { readDerived, sweepNames, writeJson } from "./folder.node.ts";
import { askedSweep, openAsked, pathOf, plannedSteps, type Sweep, type SweepOptions } from "./open.node.ts";
import { configOf, type PlannedSetting, planSettings } from "./plan.node.ts";
import { writeProgress } from "./progress.node.ts";
import { isSweepResult } from "./result.ts";
import { checkOwn, isDone, lossUntil, type NotedRun, readNoted, trainPart, unbegun } from "./run-part.node.ts";
import { type Ending, type Measured, type Part, schedule } from "./schedule.ts";
import { stopOf } from "./sweep-config.ts";
import type { SweepEvent, SweepRunEvent } from "./sweep-events.ts";
import type { SweepConfig } from "./sweep-types.ts";

/** Time until the end of a phase. The time is recorded, so that a resumed sweep makes the same decisions. */
interface Times {
  readonly minutes: number;
  /** Seconds and steps of training, by setting. */
  readonly seconds: readonly number[];
  readonly steps: readonly number[];
}

const timesOf = (found: unknown, count: number): readonly Times[] => {
  const phases = given(found, ["phases"]);
  const isTimes = (value: unknown): value is Times =>
    [given(value, ["seconds"]), given(value, ["steps"])].every((list) => Array.isArray(list) && list.length === count);
  return Array.isArray(phases) && phases.every(isTimes) ? phases : [];
};

/** Trains the parts of a phase that are not done yet, then reads the notes of all parts of the phase. */
async function* trainPhase(
  sweep: Sweep,
  parts: readonly Part[],
  known: Map<string, NotedRun>,
  failures: Map<number, string>,
  count: (setting: number, steps: number, seconds: number) => void,
): AsyncGenerator<SweepRunEvent, void, undefined> {
  const { folder, settings, seeds, preset, jobs } = sweep;
  // Also stops the runs if the caller leaves the loop over the events.
  const left = new AbortController();
  const signals = [left.signal, ...(sweep.running.signal === undefined ? [] : [sweep.running.signal])];
  const running = { ...sweep.running, signal: AbortSignal.any(signals) };
  const queue = eventQueue<SweepRunEvent>();
  const work = inJobs(jobs, parts, async (part) => {
    const { setting, until } = part;
    const path = pathOf(sweep, part);
    const { steps, ...one } = settings[setting] as PlannedSetting;
    const seed = seeds[part.seed] as number;
    const told = { type: "run", setting: setting + 1, seed } as const;
    const { teachers } = folder;
    await checkOwn(path, { steps, teachers });
    if (!isDone(await readNoted(path), part, steps)) {
      if (running.signal.aborted) return;
      const { teacher } = sweep.parsed;
      const plan = { path, texts: folder.texts, preset, config: configOf({ ...one }, seed), steps, until };
      const end = await trainPart({ ...plan, teacher, teachers }, running);
      if (end.kind === "interrupted") return;
      if (end.kind === "failed") {
        failures.set(setting, end.reason);
        const { step } = await readNoted(path);
        queue.push({ ...told, step, natsPerCharacter: null, failure: end.reason });
        return;
      }
      count(setting, end.steps, end.seconds);
    }
    const noted = await readNoted(path);
    known.set(path, noted);
    const step = Math.min(noted.step, until);
    queue.push({ ...told, step, natsPerCharacter: lossUntil(noted, until), failure: null });
  });
  try {
    yield* queue.until(work);
  } finally {
    left.abort();
    await work.catch(() => {});
  }
}

/** Trains the parts that the schedule yields. */
async function* trainAll(sweep: Sweep): AsyncGenerator<SweepEvent, TrainedParts, undefined> {
  const { folder, settings, seeds, parsed, jobs, running } = sweep;
  const known = new Map<string, NotedRun>();
  const failures = new Map<number, string>();
  const untils = new Map<string, number>();
  const endings = new Map<number, Ending>();
  const timesPath = join(folder.path, sweepNames.times);
  const times = [...timesOf(await readDerived(timesPath), settings.length)];
  let now: Times = { minutes: 0, seconds: settings.map(() => 0), steps: settings.map(() => 0) };
  const notedOf = (part: Part): NotedRun => known.get(pathOf(sweep, part)) ?? unbegun;
  const measured = (): Measured => ({
    loss: (part) => lossUntil(notedOf(part), part.until),
    steps: (part) => Math.min(part.until, notedOf(part).step),
    failure: (setting) => failures.get(setting) ?? null,
    minutes: now.minutes,
    minutesPerStep: (setting) => (now.seconds[setting] ?? 0) / 60 / Math.max(1, now.steps[setting] ?? 0),
  });
  const plan = { settings, seeds: seeds.length, stop: stopOf(parsed), budget: parsed.budget, jobs };
  const phases = schedule(plan, endings);
  let next = phases.next();
  for (let phase = 1; next.done !== true; phase++) {
    const parts = next.value;
    for (const part of parts) untils.set(pathOf(sweep, part), part.until);
    await writeProgress(sweep, phase, endings);
    yield { type: "phase", phase, settings: new Set(parts.map(({ setting }) => setting)).size, runs: parts.length };
    const began = performance.now();
    const [seconds, steps] = [[...now.seconds], [...now.steps]];
    yield* trainPhase(sweep, parts, known, failures, (setting, done, took) => {
      steps[setting] = (steps[setting] ?? 0) + done;
      seconds[setting] = (seconds[setting] ?? 0) + took;
    });
    running.signal?.throwIfAborted();
    const before = times[phase - 1];
    now = before ?? { minutes: now.minutes + (performance.now() - began) / 60_000, seconds, steps };
    if (before === undefined) {
      times.push(now);
      await writeJson(timesPath, { phases: times });
    }
    next = phases.next(measured());
  }
  await writeProgress(sweep, null, endings);
  return { endings: next.value, untils };
}

/**
 * Trains settings on one text, each with the same seeds, and finds the best one. Events report the progress; the last
 * one contains the result. The settings train on the first part of the text; the next part chooses weights and
 * settings; the last part measures the winner, once.
 *
 * All files are in the folder `out`. If a sweep was stopped or killed, calling it again resumes it and gives the same
 * result. The same is true if the loop over the events is left. Its runs are ordinary runs, in `runs/`; `winner.json` is the winner's configuration for `train`.
 * @param config the contents of a sweep's file; `data` is relative to the current folder.
 * @throws like `train`; ConfigError for another sweep's folder, or an invalid configuration.
 * @example
 * ```ts
 * import { sweep } from "foretoken";
 *
 * const config = { data: "notes.txt", vary: { "train.learningRate": [0.006, 0.012] }, train: { steps: 100 }, seeds: 2 };
 * for await (const event of sweep(config, { out: "sweeps/rates" })) {
 *   if (event.type === "done") console.log(event.result.winner, event.result.settings);
 * }
 * ```
 */
export async function* sweep(config: SweepConfig, options: SweepOptions): AsyncGenerator<SweepEvent, void, undefined> {
  const asked = askedSweep(config, options);
  const { out, jobs, parsed, wanted, seeds, preset, running } = asked;
  const { folder, planned } = await openAsked(asked);
  try {
    const { train, choose, notice: told } = folder.texts;
    if (told !== undefined) running.onNotice?.(told);
    const known = await readDerived(join(out, sweepNames.result));
    if (isSweepResult(known, wanted.length)) {
      const { winner } = known;
      const names = wanted.map(({ name }) => name);
      yield { type: "start", out, settings: names, seeds, plannedSteps: known.plannedSteps };
      yield { type: "done", result: known, config: winner === null ? null : join(out, sweepNames.winner) };
      return;
    }
    const settings = planned ?? (await planSettings(wanted, { data: train, valData: choose }, parsed, preset, running));
    const opened: Sweep = { folder, settings, seeds, preset, parsed, jobs, running };
    const names = settings.map(({ name }) => name);
    yield { type: "start", out, settings: names, seeds, plannedSteps: plannedSteps(opened) };
    yield await conclude(opened, yield* trainAll(opened));
  } finally {
    await folder.lock.release();
  }
}
