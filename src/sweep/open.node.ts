/** Opens a sweep: checks the arguments, plans the settings and opens the folder. */
import { join } from "node:path";
import { backendChoices } from "../backend/choices.node.ts";
import { defaultPreset, type PresetName } from "../config/presets.ts";
import {
  checkCallback,
  checkChoice,
  checkKeys,
  checkName,
  checkSignal,
  checkWhole,
} from "../core/checks/check-arguments.ts";
import { isCorpusName } from "../data/corpora.node.ts";
import { openTeachers } from "../train/prepare/teachers.node.ts";
import {
  findSweepFolder,
  openSweepFolder,
  readSweepTexts,
  type SweepFolder,
  type SweepSources,
  sweepNames,
} from "./folder.node.ts";
import { type PlannedSetting, planSettings } from "./plan.node.ts";
import type { SweepRunning } from "./run-part.node.ts";
import type { Part } from "./schedule.ts";
import { type ParsedSweep, parseSweep, type SweepSetting, seedsOf, settingsOf } from "./sweep-config.ts";
import type { SweepConfig } from "./sweep-types.ts";

/** Options of `sweep`. */
export interface SweepOptions extends SweepRunning {
  /** The sweep's folder: a new or empty folder, or the folder of the same sweep, which is resumed. */
  readonly out: string;
  /** Number of runs that train at the same time. Whole number from 1. Default: 1. */
  readonly jobs?: number | undefined;
}

/** An opened sweep. */
export interface Sweep {
  readonly folder: SweepFolder;
  readonly settings: readonly PlannedSetting[];
  readonly seeds: readonly number[];
  readonly preset: PresetName | undefined;
  readonly parsed: ParsedSweep;
  readonly jobs: number;
  readonly running: SweepRunning;
}

/** Name of a run's folder. @param setting index of the setting, from 0. */
export const runName = (setting: number, seed: number): string => `${String(setting + 1).padStart(2, "0")}-seed${seed}`;

export const pathOf = ({ folder, seeds }: Sweep, { setting, seed }: Pick<Part, "setting" | "seed">): string =>
  join(folder.path, sweepNames.runs, runName(setting, seeds[seed] as number));

/** Steps of all runs if no setting ends early. */
export const plannedSteps = ({ settings, seeds }: Pick<Sweep, "settings" | "seeds">): number =>
  seeds.length * settings.reduce((sum, { steps }) => sum + steps, 0);

/** Parsed arguments of `sweep`. */
export interface Asked {
  readonly jobs: number;
  readonly seeds: readonly number[];
  readonly out: string;
  readonly parsed: ParsedSweep;
  readonly wanted: readonly SweepSetting[];
  readonly preset: PresetName | undefined;
  readonly running: SweepRunning;
}

/** Reads the text and the teachers' hashes. @throws like `train` for a text or a teacher that cannot be used. */
export const readSources = async ({ parsed, running }: Pick<Asked, "parsed" | "running">): Promise<SweepSources> => {
  const split = await readSweepTexts(parsed);
  const { list, close } = await openTeachers(parsed.teacher, running.onNotice);
  await close();
  return { split, teachers: list.map(({ sha256 }) => sha256) };
};

/** Opens the folder. For a new sweep, all settings are planned before anything is written. */
export const openAsked = async (asked: Asked) => {
  const { out, parsed, wanted, preset, running } = asked;
  const sources = await readSources(asked);
  const isNew = (await findSweepFolder(out, parsed, sources)) === "new";
  const given = { text: sources.split.train, valText: sources.split.choose };
  const planned = isNew ? await planSettings(wanted, given, parsed, preset, running) : undefined;
  return { folder: await openSweepFolder(out, parsed, sources), planned };
};

/** Checks the arguments of `sweep`. @throws ConfigError for an invalid argument. */
export const askedSweep = (config: SweepConfig, options: SweepOptions): Asked => {
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
  const said = new Set<string>();
  const notice = (line: string): void => {
    if (!said.has(line)) onNotice?.(line);
    said.add(line);
  };
  const running = { ...rest, onNotice: notice };
  const preset = parsed.preset ?? (isCorpusName(parsed.data) ? defaultPreset : undefined);
  return { out, jobs, parsed, wanted, seeds: seedsOf(parsed), preset, running };
};
