/** Trains single runs of a sweep in processes of their own, for the tasks of a job array. */
import { join } from "node:path";
import { checkWhole } from "../core/checks/check-arguments.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { findSweepFolder, sweepNames } from "./folder.node.ts";
import { askedSweep, openAsked, readSources, runName, type SweepOptions } from "./open.node.ts";
import { configOf, type PlannedSetting, planSettings } from "./plan.node.ts";
import { writeProgress } from "./progress.node.ts";
import { checkOwn, isDone, lossUntil, readNoted, trainPart } from "./run-part.node.ts";
import type { SweepRunEvent } from "./sweep-events.ts";
import type { SweepConfig } from "./sweep-types.ts";

/**
 * Checks the sweep, and writes its plan and its texts into its folder. No run is trained.
 * @returns number of runs.
 * @throws like `sweep`.
 */
export const prepareSweep = async (config: SweepConfig, options: SweepOptions): Promise<number> => {
  const asked = askedSweep(config, options);
  if (asked.parsed.budget !== undefined) {
    throw new ConfigError({
      where: "budget",
      must: "must not be given for a job array, which trains all runs to their ends",
      got: JSON.stringify(asked.parsed.budget),
      hint: "leaving it out",
    });
  }
  const { folder, planned } = await openAsked(asked);
  try {
    // The studio shows the steps of settings whose tasks have not begun.
    if (planned !== undefined)
      await writeProgress({ folder, settings: planned, parsed: asked.parsed }, null, new Map());
  } finally {
    await folder.lock.release();
  }
  return asked.wanted.length * asked.seeds.length;
};

/**
 * Trains one run of a prepared sweep to its end, or resumes it. Other processes may train other runs of the sweep at
 * the same time. A run whose steps are not finite has failed; this is no error.
 * @param number number of the run, from 1: all seeds of the first setting, then all seeds of the second setting, …
 * @throws like `sweep`; ConfigError for a number above the number of runs, or a folder that is not prepared.
 */
export const trainSingleRun = async (
  config: SweepConfig,
  options: SweepOptions,
  number: number,
): Promise<SweepRunEvent> => {
  const asked = askedSweep(config, options);
  const { out, parsed, wanted, seeds, preset, running } = asked;
  const count = wanted.length * seeds.length;
  checkWhole("sweep: only", number, 1);
  if (number > count) {
    throw new ConfigError({
      where: "--only",
      must: `must be the number of a run, from 1 to ${count}`,
      got: String(number),
      hint: `--only ${count}`,
    });
  }
  const sources = await readSources(asked);
  if ((await findSweepFolder(out, parsed, sources)) === "new") {
    throw new ConfigError({
      where: `sweep: ${out}`,
      must: "the sweep must be prepared before single runs are trained",
      got: "no plan of this sweep",
      hint: "--slurm jobs, once",
    });
  }
  const [setting, place] = [Math.floor((number - 1) / seeds.length), (number - 1) % seeds.length];
  const seed = seeds[place] as number;
  const path = join(out, sweepNames.runs, runName(setting, seed));
  const textAt = (name: string): string => join(out, sweepNames.texts, `${name}.txt`);
  const texts = { train: textAt("train"), choose: textAt("choose"), heldOut: textAt("held-out") };
  const given = { data: texts.train, valData: texts.choose };
  const one = wanted.slice(setting, setting + 1);
  const [planned] = await planSettings(one, given, { ...parsed, stop: { kind: "never" } }, preset, running);
  const { steps, ...own } = planned as PlannedSetting;
  const told = { type: "run", setting: setting + 1, seed } as const;
  const { teachers } = sources;
  await checkOwn(path, { steps, teachers });
  if (!isDone(await readNoted(path), { until: steps }, steps)) {
    const plan = { path, texts: { ...texts, name: parsed.data, notice: undefined }, preset };
    const learning = { teacher: parsed.teacher, teachers };
    const end = await trainPart({ ...plan, ...learning, config: configOf(own, seed), steps, until: steps }, running);
    if (end.kind === "interrupted") {
      running.signal?.throwIfAborted();
      throw new Error("the run was interrupted without a signal");
    }
    if (end.kind === "failed") {
      const { step } = await readNoted(path);
      return { ...told, step, natsPerCharacter: null, failure: end.reason };
    }
  }
  const noted = await readNoted(path);
  return { ...told, step: noted.step, natsPerCharacter: lossUntil(noted, steps), failure: null };
};
