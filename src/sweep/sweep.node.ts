import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { backendChoices } from "../backend/select.node.ts";
import { given } from "../config/given.ts";
import { defaultPreset, type PresetName } from "../config/presets.ts";
import {
  checkCallback,
  checkChoice,
  checkKeys,
  checkName,
  checkSignal,
  checkWhole,
} from "../core/checks/check-arguments.ts";
import { CheckpointError } from "../core/errors/errors.ts";
import { quoteWord } from "../core/text/shell-word.ts";
import { isCorpusName } from "../data/corpora.node.ts";
import { readRunDescription } from "../runs/description.node.ts";
import { folderNames } from "../runs/folder-names.ts";
import { loadInWorker } from "../worker/model.node.ts";
import { eventQueue, inJobs } from "./event-queue.ts";
import {
  findSweepFolder,
  openSweepFolder,
  readDerived,
  readSweepTexts,
  type SweepFolder,
  sweepNames,
  writeJson,
} from "./folder.node.ts";
import { configOf, type PlannedSetting, planSettings } from "./plan.node.ts";
import { type HeldOutLoss, isSweepResult, type SweepResult, sweptSettings } from "./result.ts";
import { isDone, lossUntil, type NotedRun, readNoted, type SweepRunning, trainPart } from "./run-part.node.ts";
import { type Ending, type Endings, type Measured, type Part, schedule } from "./schedule.ts";
import { mean } from "./statistics.ts";
import { type ParsedSweep, parseSweep, type SweepSetting, seedsOf, settingsOf, stopOf } from "./sweep-config.ts";
import type { SweepConfig } from "./sweep-types.ts";

/** Options of `sweep`. */
export interface SweepOptions extends SweepRunning {
  /** The sweep's folder: a new or empty folder, or the folder of the same sweep, which is resumed. */
  readonly out: string;
  /** Number of runs that train at the same time. Whole number from 1. Default: 1. */
  readonly jobs?: number | undefined;
}

/** First event of a sweep. */
export interface SweepStartEvent {
  /** Which event it is. */
  readonly type: "start";
  /** The sweep's folder. */
  readonly out: string;
  /** Names of the settings, in the order of the file. */
  readonly settings: readonly string[];
  /** Seeds of each setting. */
  readonly seeds: readonly number[];
  /** Steps of all runs if no setting ends early. */
  readonly plannedSteps: number;
}

/** Sent before a phase. In the phase, some runs are trained. */
export interface SweepPhaseEvent {
  readonly type: "phase";
  /** Number of the phase, from 1. */
  readonly phase: number;
  /**
   * Number of settings in the phase. In a race, the better half of the settings has its own phase, which comes first.
   */
  readonly settings: number;
  /** Number of runs in the phase, including runs that are already done. */
  readonly runs: number;
}

/** A run has reached the end of its current part. */
export interface SweepRunEvent {
  readonly type: "run";
  /** Number of the run's setting, from 1. */
  readonly setting: number;
  /** Its seed. */
  readonly seed: number;
  /** Steps done. */
  readonly step: number;
  /**
   * Lowest loss so far on the text that is used to choose the winner, in nats per character; null if the run failed.
   */
  readonly natsPerCharacter: number | null;
  /** Reason why the run failed; null if it did not. */
  readonly failure: string | null;
}

/** Last event of a sweep. */
export interface SweepDoneEvent {
  readonly type: "done";
  /** The table. */
  readonly result: SweepResult;
  /** Path of the file with the winner's configuration, for `train --config`; null without a winner. */
  readonly config: string | null;
}

/** Events of `sweep`. */
export type SweepEvent = SweepStartEvent | SweepPhaseEvent | SweepRunEvent | SweepDoneEvent;

/** An opened sweep. */
interface Sweep {
  readonly folder: SweepFolder;
  readonly settings: readonly PlannedSetting[];
  readonly seeds: readonly number[];
  readonly preset: PresetName | undefined;
  readonly parsed: ParsedSweep;
  readonly jobs: number;
  readonly running: SweepRunning;
}

const runName = (setting: number, seed: number): string => `${String(setting + 1).padStart(2, "0")}-seed${seed}`;

const pathOf = ({ folder, seeds }: Sweep, { setting, seed }: Pick<Part, "setting" | "seed">): string =>
  join(folder.path, sweepNames.runs, runName(setting, seeds[seed] as number));

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
  const { folder, settings, seeds, preset, jobs, running } = sweep;
  const queue = eventQueue<SweepRunEvent>();
  const work = inJobs(jobs, parts, async (part) => {
    const { setting, until } = part;
    const path = pathOf(sweep, part);
    const { steps, ...one } = settings[setting] as PlannedSetting;
    const seed = seeds[part.seed] as number;
    const told = { type: "run", setting: setting + 1, seed } as const;
    if (!isDone(await readNoted(path), part, steps)) {
      if (running.signal?.aborted === true) return;
      const { teacher } = sweep.parsed;
      const plan = { path, texts: folder.texts, preset, teacher, config: configOf({ ...one }, seed), steps, until };
      const end = await trainPart(plan, running);
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
  yield* queue.until(work);
}

/** Trains the parts that the schedule yields; returns how the settings ended. */
async function* trainAll(sweep: Sweep): AsyncGenerator<SweepEvent, Endings, undefined> {
  const { folder, settings, seeds, parsed, jobs, running } = sweep;
  const known = new Map<string, NotedRun>();
  const failures = new Map<number, string>();
  const timesPath = join(folder.path, sweepNames.times);
  const times = [...timesOf(await readDerived(timesPath), settings.length)];
  let now: Times = { minutes: 0, seconds: settings.map(() => 0), steps: settings.map(() => 0) };
  const notedOf = (part: Part): NotedRun => known.get(pathOf(sweep, part)) ?? { losses: [], ended: false, step: 0 };
  const measured = (): Measured => ({
    loss: (part) => lossUntil(notedOf(part), part.until),
    steps: (part) => Math.min(part.until, notedOf(part).step),
    failure: (setting) => failures.get(setting) ?? null,
    minutes: now.minutes,
    minutesPerStep: (setting) => (now.seconds[setting] ?? 0) / 60 / Math.max(1, now.steps[setting] ?? 0),
  });
  const phases = schedule({ settings, seeds: seeds.length, stop: stopOf(parsed), budget: parsed.budget, jobs });
  let next = phases.next();
  for (let phase = 1; next.done !== true; phase++) {
    const parts = next.value;
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
  return next.value;
}

/** Final state of a setting, from the notes of its runs. */
const outcomeOf = async (sweep: Sweep, setting: number, ending: Ending) => {
  const { seeds, settings } = sweep;
  const runs = await Promise.all(
    seeds.map(async (seed, i) => ({ seed, noted: await readNoted(pathOf(sweep, { setting, seed: i })) })),
  );
  const measured = runs.filter(({ noted }) => noted.losses.length > 0);
  return {
    name: (settings[setting] as PlannedSetting).name,
    ending,
    steps: runs.reduce((sum, { noted }) => sum + noted.step, 0),
    plannedSteps: plannedSteps({ settings: [settings[setting] as PlannedSetting], seeds }),
    losses: measured.map(({ seed, noted }) => ({
      seed,
      natsPerCharacter: lossUntil(noted, Number.POSITIVE_INFINITY),
    })),
  };
};

/**
 * Awaits something that is read from a finished run. If files are missing or damaged, the error suggests deleting the
 * run, so that it is trained again.
 */
const readOrDelete = async <Read>(path: string, reading: Promise<Read>): Promise<Read> => {
  try {
    return await reading;
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    const hint = `deleting ${quoteWord(path)}; the same command then trains this run again`;
    throw new CheckpointError({ ...error.details, hint, cause: error });
  }
};

/** Measures the best weights of the winner's runs on the held-out text. */
const measureHeldOut = async (sweep: Sweep, setting: number): Promise<HeldOutLoss> => {
  const { folder, seeds, running } = sweep;
  const { heldOut, name } = folder.texts;
  const text = await readFile(heldOut, "utf8");
  const runs = [];
  for (const [i, seed] of seeds.entries()) {
    const path = pathOf(sweep, { setting, seed: i });
    const { config } = await readOrDelete(path, readRunDescription(path));
    const { backend, threads, signal } = running;
    const options = { backend, threads, dtype: config.train.dtype, asInTraining: true };
    const lm = await readOrDelete(path, loadInWorker(join(path, folderNames.best), options));
    try {
      const corpus = { name, train: "", val: text, parts: [{ where: heldOut, start: 0 }] };
      const { natsPerCharacter, bitsPerByte } = await lm.evaluate(corpus, { unknown: "skip", signal });
      runs.push({ seed, natsPerCharacter, bitsPerByte });
    } finally {
      await lm.close();
    }
  }
  return {
    natsPerCharacter: mean(runs.map((run) => run.natsPerCharacter)),
    bitsPerByte: mean(runs.map((run) => run.bitsPerByte)),
    runs,
  };
};

/** Writes the winner's configuration in the form of `train --config`; returns the file's path. */
const writeWinner = async (sweep: Sweep, setting: number): Promise<string> => {
  const run = pathOf(sweep, { setting, seed: 0 });
  const { config } = await readOrDelete(run, readRunDescription(run));
  const { sampleTokens, extensions: _, ...train } = config.train;
  const asked = given(sweep.settings[setting]?.config, ["train", "sampleTokens"]) !== undefined;
  const path = join(sweep.folder.path, sweepNames.winner);
  await writeJson(path, { ...config, train: asked ? { ...train, sampleTokens } : train });
  return path;
};

const conclude = async (sweep: Sweep, endings: Endings): Promise<SweepDoneEvent> => {
  const outcomes = await Promise.all(endings.map((ending, setting) => outcomeOf(sweep, setting, ending)));
  const { settings, winner } = sweptSettings(outcomes);
  const config = winner === null ? null : await writeWinner(sweep, winner - 1);
  const result: SweepResult = {
    ...{ settings, winner },
    heldOut: winner === null ? null : await measureHeldOut(sweep, winner - 1),
    steps: settings.reduce((sum, { steps }) => sum + steps, 0),
    plannedSteps: plannedSteps(sweep),
  };
  await writeJson(join(sweep.folder.path, sweepNames.result), result);
  return { type: "done", result, config };
};

const plannedSteps = ({ settings, seeds }: Pick<Sweep, "settings" | "seeds">): number =>
  seeds.length * settings.reduce((sum, { steps }) => sum + steps, 0);

/** Parsed arguments of `sweep`. */
interface Asked {
  readonly out: string;
  readonly parsed: ParsedSweep;
  readonly wanted: readonly SweepSetting[];
  readonly preset: PresetName | undefined;
  readonly running: SweepRunning;
}

/** Opens the folder. For a new sweep, all settings are planned before anything is written. */
const openFolder = async ({ out, parsed, wanted, preset, running }: Asked) => {
  const texts = await readSweepTexts(parsed);
  const isNew = (await findSweepFolder(out, parsed, texts)) === "new";
  const given = { text: texts.train, valText: texts.choose };
  const planned = isNew ? await planSettings(wanted, given, parsed, preset, running) : undefined;
  return { folder: await openSweepFolder(out, parsed, texts), planned };
};

/**
 * Trains settings on one text, each with the same seeds, and finds the best one. Events report the progress; the last
 * one contains the result. The settings train on the first part of the text; the next part chooses weights and
 * settings; the last part measures the winner, once.
 *
 * All files are in the folder `out`. If a sweep was stopped or killed, calling it again resumes it and gives the same
 * result. Its runs are ordinary runs, in `runs/`; `winner.json` is the winner's configuration for `train`.
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
  checkKeys("sweep", options, ["out", "jobs", "backend", "threads", "signal", "onNotice"]);
  const { out, jobs = 1, onNotice, ...rest } = options;
  checkName("sweep: out", out);
  checkWhole("sweep: jobs", jobs, 1);
  if (rest.backend !== undefined) checkChoice("sweep: backend", rest.backend, backendChoices);
  if (rest.threads !== undefined) checkWhole("sweep: threads", rest.threads, 1);
  checkSignal("sweep: signal", rest.signal);
  checkCallback("sweep: onNotice", onNotice);
  const parsed = parseSweep(config, "sweep");
  const wanted = settingsOf(parsed, "sweep");
  const seeds = seedsOf(parsed);
  const said = new Set<string>();
  const notice = (line: string): void => {
    if (!said.has(line)) onNotice?.(line);
    said.add(line);
  };
  const running = { ...rest, onNotice: notice };
  const preset = parsed.preset ?? (isCorpusName(parsed.data) ? defaultPreset : undefined);
  const { folder, planned } = await openFolder({ out, parsed, wanted, preset, running });
  try {
    const { train, choose, notice: told } = folder.texts;
    if (told !== undefined) notice(told);
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
    const endings = yield* trainAll(opened);
    yield await conclude(opened, endings);
  } finally {
    await folder.lock.release();
  }
}
