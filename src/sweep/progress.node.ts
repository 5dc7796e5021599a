/** Writes and reads how far a sweep is. Programs that show a sweep read this; the sweep itself does not. */
import { join, resolve } from "node:path";
import { isRecord } from "../core/checks/is-record.ts";
import { CheckpointError } from "../core/errors/errors.ts";
import { isCorpusName } from "../data/corpora.node.ts";
import { isHubName } from "../pretrained/files/hub-name.ts";
import { readDerived, readJsonIfThere, sweepNames, writeJson } from "./folder.node.ts";
import { runName, type Sweep } from "./open.node.ts";
import { isEnding, isSweepResult, type SweepResult } from "./result.ts";
import type { Ending } from "./schedule.ts";
import { parseSweep, type SettingPart, type StopRule, seedsOf, settingsOf, stopOf } from "./sweep-config.ts";

/** A setting of a sweep that may still run. */
export interface SettingProgress {
  readonly name: string;
  /** The parts of its name: its own name and the values of varied fields. */
  readonly parts: readonly SettingPart[];
  /** Steps of each of its runs; null if the sweep has not planned them yet. */
  readonly steps: number | null;
  /** How it ended early; null if it did not end early so far. */
  readonly ending: Ending | null;
  /** Folders of its runs in `runs/`, in the order of the seeds. A folder may not exist yet. */
  readonly runs: readonly string[];
}

/** How far a sweep is. */
export interface SweepProgress {
  readonly seeds: readonly number[];
  readonly stop: StopRule["kind"];
  readonly settings: readonly SettingProgress[];
  /** Number of the phase that was begun last, from 1; null: no phase was begun, or the last phase has ended. */
  readonly phase: number | null;
  /** Name of a corpus, or absolute path of the text; null if the sweep has not begun training. */
  readonly data: string | null;
  /** Names of models on the hub, or absolute paths of the models, from which the runs learn. */
  readonly teachers: readonly string[];
  /** Complete result; null while the sweep is not finished. */
  readonly result: SweepResult | null;
}

/** @param phase null: the last phase has ended. */
export const writeProgress = (
  { folder, settings, parsed: { data, teacher = [] } }: Pick<Sweep, "folder" | "settings" | "parsed">,
  phase: number | null,
  endings: ReadonlyMap<number, Ending>,
): Promise<void> =>
  writeJson(join(folder.path, sweepNames.progress), {
    phase,
    data: isCorpusName(data) ? data : resolve(data),
    teachers: [teacher].flat().map((one) => (isHubName(one) ? one : resolve(one))),
    settings: settings.map(({ steps }, i) => ({ steps, ending: endings.get(i) ?? null })),
  });

/** A setting in the file; unknown values become null. */
const knownOf = (value: unknown): Pick<SettingProgress, "steps" | "ending"> => {
  const { steps, ending } = isRecord(value) ? value : {};
  return { steps: typeof steps === "number" ? steps : null, ending: isEnding(ending) ? ending : null };
};

/**
 * Reads how far the sweep in a folder is. Nothing is written, and no lock is taken, so the sweep may be running.
 * @returns undefined if the folder has no sweep.
 * @throws CheckpointError for a damaged plan, ConfigError for a plan of another version.
 */
export const readSweepProgress = async (path: string): Promise<SweepProgress | undefined> => {
  const where = join(path, sweepNames.plan);
  const plan = await readJsonIfThere(where);
  if (plan === undefined) return undefined;
  if (!isRecord(plan) || !isRecord(plan.sweep)) {
    throw new CheckpointError({ where, must: "must be the plan of a sweep", got: "other JSON" });
  }
  // The plan identifies the text by its hash and does not contain its path.
  const parsed = parseSweep({ ...plan.sweep, data: "text" }, where);
  const seeds = seedsOf(parsed);
  const wanted = settingsOf(parsed, where);
  const [found, result] = await Promise.all([
    readDerived(join(path, sweepNames.progress)),
    readDerived(join(path, sweepNames.result)),
  ]);
  const { phase, data, teachers, settings } = isRecord(found) ? found : {};
  const isComplete = isSweepResult(result, wanted.length);
  return {
    ...{ seeds, stop: stopOf(parsed).kind },
    settings: wanted.map(({ name, parts }, i) => {
      const { steps, ending } = knownOf(Array.isArray(settings) ? settings[i] : undefined);
      const done = isComplete ? result.settings[i] : undefined;
      return {
        ...{ name, parts },
        steps: steps ?? (done === undefined ? null : done.plannedSteps / seeds.length),
        ending: done?.ending ?? ending,
        runs: seeds.map((seed) => runName(i, seed)),
      };
    }),
    phase: typeof phase === "number" && !isComplete ? phase : null,
    data: typeof data === "string" ? data : null,
    teachers: Array.isArray(teachers) ? teachers.filter((one) => typeof one === "string") : [],
    result: isComplete ? result : null,
  };
};
