/** Groups the runs given to `compare` into settings. */
import { stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { ConfigError } from "../../core/errors/errors.ts";
import type { RunDescription } from "../../runs/description.ts";
import { runOfModel } from "./checkpoint-path.ts";

/** A run, or a model that is not from a run. */
export interface ComparedModel {
  readonly path: string;
  /** Undefined for a model that is not from a run. */
  readonly run: RunDescription | undefined;
}

/** Runs that differ only in their seeds. */
export interface ComparedSetting {
  readonly name: string;
  readonly models: readonly ComparedModel[];
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Paths in an argument such as `runs/a1,runs/a2`. An existing path that contains a comma is one path. */
const pathsOf = async (word: string): Promise<readonly string[]> => {
  const paths = (await exists(word)) ? [word] : word.split(",");
  const empty = paths.some((path) => path === "");
  if (!empty && new Set(paths).size === paths.length) return paths;
  throw new ConfigError({
    where: "<setting...>",
    must: "must be a run, a model, or several different runs separated by commas",
    got: JSON.stringify(word),
  });
};

const nameOf = (models: readonly ComparedModel[]): string => {
  const [first, ...others] = models.map(({ path }) => path);
  return others.length === 0 ? (first ?? "") : `${first} +${others.length}`;
};

/** A key for grouping. Runs that differ only in their seeds have the same key. */
const keyOf = ({ path, run }: ComparedModel): string => {
  if (run === undefined) {
    throw new ConfigError({
      where: "--group",
      must: "must have only runs, because only a run's folder contains the settings",
      got: path,
      hint: `${basename(path)} without --group`,
    });
  }
  const { config, data } = run;
  return JSON.stringify([
    { ...config, train: { ...config.train, seed: undefined } },
    data.sha256,
    data.initFrom?.sha256,
    data.teachers?.map((teacher) => [teacher.sha256, teacher.configSha256]),
  ]);
};

/** Whether all runs have different seeds. */
const isOneSetting = (models: readonly ComparedModel[]): boolean => {
  const seeds = models.flatMap(({ run }) => run?.config.train.seed ?? []);
  return new Set(seeds).size === seeds.length;
};

/** @throws ConfigError if a run or model is named twice, because the settings would not be independent. */
const checkEachOnce = (settings: readonly ComparedSetting[]): void => {
  const seen = new Set<string>();
  for (const { path } of settings.flatMap(({ models }) => models)) {
    if (seen.has(resolve(path))) {
      throw new ConfigError({
        where: "<setting...>",
        must: "must not name a run or model twice",
        got: `${path} twice`,
        hint: `${path} in only one setting`,
      });
    }
    seen.add(resolve(path));
  }
};

/**
 * Reads settings from the command line's arguments.
 * @param group whether to group runs by their configurations. If false, each argument is one setting.
 * @throws ConfigError for fewer than two settings, a run that is named twice, or two runs of one setting with the same
 * seed.
 */
export const comparedSettings = async (
  words: readonly string[],
  group: boolean,
): Promise<readonly ComparedSetting[]> => {
  const read = async (path: string): Promise<ComparedModel> => ({ path, run: await runOfModel(path) });
  const given = await Promise.all(words.map(async (word) => Promise.all((await pathsOf(word)).map(read))));
  const grouped = new Map<string, ComparedModel[]>();
  if (group) {
    for (const model of given.flat()) grouped.set(keyOf(model), [...(grouped.get(keyOf(model)) ?? []), model]);
  }
  const settings = (group ? [...grouped.values()] : given).map((models) => ({ name: nameOf(models), models }));
  if (settings.length < 2) {
    throw new ConfigError({
      where: "<setting...>",
      must: group ? "the runs must have at least two different settings" : "must be at least two settings",
      got: `${settings.length === 0 ? "none" : `one, ${settings[0]?.name}`}`,
      hint: group
        ? "separating the runs of a setting by commas, without --group"
        : "npx foretoken evaluate RUN for a single run",
    });
  }
  checkEachOnce(settings);
  const repeated = settings.find(({ models }) => !isOneSetting(models));
  if (repeated !== undefined) {
    throw new ConfigError({
      where: repeated.name,
      must: "the runs of a setting must have different seeds",
      got: `seeds ${repeated.models.map(({ run }) => run?.config.train.seed ?? "unknown").join(", ")}`,
    });
  }
  return settings;
};
