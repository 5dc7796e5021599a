import { stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { advise } from "../../backend/advise.node.ts";
import { CheckpointError, ConfigError, ForetokenError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { quoteWord } from "../../core/text/shell-word.ts";
import { checkpointOfRun, hasCheckpoint } from "../../io/checkpoint-place.node.ts";
import { isAdapterPlace } from "../../pretrained/adapter/place.node.ts";
import type { RunDescription } from "../../runs/description.ts";
import { folderNames } from "../../runs/folder-names.ts";
import { loadAdvised, type WorkerLoadOptions, type WorkerModel } from "../../worker/model.node.ts";
import { formatBytes, formatCount } from "../display/texts/format.ts";
import { progressLine } from "../process/progress-line.ts";
import { bestStepOf, bestWeightsNotice, lostBestNotice } from "./best-weights.ts";

/** Description of the models that a command accepts, for the help. */
export const modelPlaces =
  "a run's folder, a model directory (of foretoken or Hugging Face), a GGUF file, or hf:org/name";

/**
 * Weights of a run: `best` has the lowest validation loss, `last` is from the last checkpoint, `averaged` is the average
 * with the lowest validation loss (`train.average`).
 */
export const weightsNames = ["best", "last", "averaged"] as const;
export type WeightsName = (typeof weightsNames)[number];

/** Names of the folders of these weights. */
export const weightsFolders: Readonly<Record<WeightsName, string>> = {
  best: folderNames.best,
  last: folderNames.checkpoint,
  averaged: folderNames.averaged,
};

/** Options that say how to load a model from its path. */
export interface ModelParts {
  /**
   * Weights of a run. If undefined, the best weights are used. If the run has no best weights, the last weights are
   * used.
   */
  readonly weights?: WeightsName;
  /** Path of a LoRA adapter for the model: its folder, or a run's folder. */
  readonly adapter?: string;
  /** Path of the base model, if the model's path names an adapter. */
  readonly base?: string;
  /** False with --no-base-check: the adapter is applied to any weights of the right shape. */
  readonly baseCheck?: boolean;
}

/** A loaded model and its path. */
export interface FoundModel {
  readonly lm: WorkerModel;
  /** Directory of the model's files. For an adapter, it is the adapter's directory. */
  readonly directory: string;
  /** Notices for the user, for example which weights were chosen automatically, or that files could not be checked. */
  readonly notices: readonly string[];
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    (error: unknown) => {
      if (["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"].includes(systemErrorCode(error) ?? "")) return false;
      throw error;
    },
  );

/** This module is loaded only for the error, because most commands find weights. */
const noWeights = async (run: string): Promise<CheckpointError> =>
  (await import("../../runs/lost-weights.node.ts")).noWeights(run, run);

/** Minimum size of a model in bytes for showing the progress of loading. */
const shownFrom = 50 * 2 ** 20;

const option = /^(?:loadPretrained|exportModel): (?=(?:adapter|base|adapterOnly|dtype)$)/u;
const inKebab = (name: string): string => name.replace(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`);
const asOption = /^base (?=\S)/u;

/** Rewrites an error about adapters or the draft model for the command line: option names become flags. */
export const inModelFlags = (error: unknown): unknown => {
  if (!(error instanceof ForetokenError)) return error;
  const { where, hint = "" } = error.details;
  if (where === "loadInWorker: draft") return new ConfigError({ ...error.details, where: "--speculate", cause: error });
  if (option.test(where))
    return new ConfigError({ ...error.details, where: inKebab(where.replace(option, "--")), cause: error });
  if (!(error instanceof CheckpointError)) return error;
  const flags = hint
    .replace(asOption, "--base ")
    .replace(/baseCheck: false(?= to use these weights$)/u, "--no-base-check");
  return flags === hint ? error : new CheckpointError({ ...error.details, hint: flags, cause: error });
};

const load = async (directory: string, options: WorkerLoadOptions): Promise<FoundModel> => {
  const notices: string[] = [];
  const onNotice = (line: string): void => {
    notices.push(line);
  };
  const line = progressLine();
  const onProgress = (bytes: number, all: number): void => {
    if (all < shownFrom) return;
    line.update(`loading ${Math.floor((100 * bytes) / all)}% of ${formatBytes(all)}`);
  };
  try {
    // One process may run several commands, and each command gives the advice.
    const lm = await loadAdvised(directory, { ...options, onNotice, onProgress }, advise);
    // Commands use this directory to find the run and its text. With an adapter, this is the adapter's directory,
    // because the run trained the adapter.
    const { adapter = directory } = options;
    return { lm, directory: typeof adapter === "string" ? adapter : directory, notices };
  } catch (error) {
    throw inModelFlags(error);
  } finally {
    line.clear();
  }
};

/**
 * Loads the best weights. If they are damaged and the run has last weights, the last weights are loaded, except with
 * `alone`.
 */
const loadBest = async (run: string, options: WorkerLoadOptions, alone: boolean): Promise<FoundModel> => {
  const found = await load(join(run, folderNames.best), options).catch((error: unknown) => {
    if (alone || !(error instanceof CheckpointError)) throw error;
    return error;
  });
  if (!(found instanceof CheckpointError)) {
    const notice = await bestWeightsNotice(run);
    return notice === undefined ? found : { ...found, notices: [...found.notices, notice] };
  }
  const last = await load(join(run, folderNames.checkpoint), options).catch(() => {
    throw found;
  });
  const notice = `${found.message}; using the weights of the last checkpoint instead`;
  return { ...last, notices: [notice, ...last.notices] };
};

/** Error for `--weights` with a model that has only one set of weights. */
const weightsOfNoRun = (path: string): ConfigError =>
  new ConfigError({
    where: "--weights",
    must: "works only with a run's folder, which has several checkpoints",
    got: `${path}, which is a single checkpoint`,
    hint: "the run's folder, or no --weights",
  });

/** @throws CheckpointError if a run has no averaged weights. */
const checkAveraged = async (run: string): Promise<void> => {
  if (await hasCheckpoint(join(run, folderNames.averaged))) return;
  throw new CheckpointError({
    where: run,
    must: "the run must have averaged weights, from train.average and an evaluation",
    got: "none",
    hint: "--weights best",
  });
};

/** Whether the user's model is an adapter, or a run that trains one. */
export const isAdapterModel = async (path: string): Promise<boolean> => isAdapterPlace(await modelDirectory(path));

/** @throws ConfigError for `--no-base-check` with a model that has no adapter. */
export const checkBaseCheck = async (
  path: string,
  { adapter, baseCheck = true }: Pick<ModelParts, "adapter" | "baseCheck">,
): Promise<void> => {
  if (baseCheck || adapter !== undefined || (await isAdapterModel(path))) return;
  throw new ConfigError({
    where: "--no-base-check",
    must: "must be used only with an adapter, because it is about the adapter's base model",
    got: `${path}, which is not an adapter`,
  });
};

/**
 * Loads the user's model from a checkpoint directory or a run. If an adapter is named, it is loaded too.
 * @throws ConfigError for `weights` with a directory that is not a run, and for `baseCheck` without an adapter;
 * CheckpointError for a run without weights yet.
 */
export const loadNamed = async (path: string, parts: ModelParts, running: WorkerLoadOptions): Promise<FoundModel> => {
  await checkBaseCheck(path, parts);
  const found = await loadModel(path, parts, running);
  const notices: string[] = [];
  if (parts.adapter !== undefined) await adapterDirectory(parts.adapter, (notice) => notices.push(notice));
  return { ...found, notices: [...notices, ...found.notices] };
};

const loadModel = async (
  path: string,
  { weights, adapter, base, baseCheck = true }: ModelParts,
  running: WorkerLoadOptions,
): Promise<FoundModel> => {
  const options = {
    ...{ ...running, baseCheck },
    ...(adapter === undefined ? {} : { adapter: await modelDirectory(adapter) }),
    ...(base === undefined ? {} : { base: await modelDirectory(base) }),
  };
  if (!(await isFile(join(path, folderNames.description)))) {
    if (weights === undefined || !(await hasCheckpoint(path))) return load(path, options);
    throw weightsOfNoRun(path);
  }
  if (weights === "averaged") {
    await checkAveraged(path);
    return load(join(path, folderNames.averaged), options);
  }
  const [hasBest, hasLast] = await Promise.all([
    hasCheckpoint(join(path, folderNames.best)),
    hasCheckpoint(join(path, folderNames.checkpoint)),
  ]);
  if (hasBest && weights !== "last") return loadBest(path, options, weights === "best" || !hasLast);
  if (hasLast && weights !== "best") {
    const found = await load(join(path, folderNames.checkpoint), options);
    const lost = weights === undefined ? await lostBestNotice(path) : undefined;
    return lost === undefined ? found : { ...found, notices: [lost, ...found.notices] };
  }
  if (weights === "best" && hasLast) {
    const lost = await bestStepOf(path);
    throw new CheckpointError({
      where: path,
      ...(lost === undefined
        ? { must: "the run must have been evaluated at least once", got: "none yet" }
        : {
            must: `the run's folder must contain the best weights, of step ${formatCount(lost)}`,
            got: "no best weights: they were deleted, or replaced before the run returned to an earlier checkpoint",
          }),
      hint: "--weights last",
    });
  }
  if (!hasBest) throw await noWeights(path);
  const must = "the run must have a checkpoint";
  throw new CheckpointError({ where: path, must, got: "only its best weights", hint: "--weights best" });
};

/**
 * Directory of the model that the user named. For a run, this is the directory of the best weights. If the run has no
 * best weights yet, it is the directory of the last weights.
 * @throws CheckpointError for a run without weights yet.
 */
export const modelDirectory = async (path: string): Promise<string> => {
  if (!(await isFile(join(path, folderNames.description)))) return path;
  const found = await checkpointOfRun(path);
  if (found !== undefined) return found;
  throw await noWeights(path);
};

/**
 * Returns the directory of the model that the user named. `weights` chooses which weights of a run are used.
 * @param tell gets a notice if the caller did not choose, and the run's last weights are others than its best weights.
 * @throws ConfigError if `weights` is given and the directory is not a run; CheckpointError if the run has no weights yet.
 */
export const weightsDirectory = async (
  path: string,
  weights: WeightsName | undefined,
  tell: (notice: string) => void,
): Promise<string> => {
  const found = await modelDirectory(path);
  if (weights === undefined) {
    const isBest = found === join(path, folderNames.best);
    const notice = found === path ? undefined : await (isBest ? bestWeightsNotice : lostBestNotice)(path);
    if (notice !== undefined) tell(`${path}: ${notice}`);
    return found;
  }
  if (found === path) throw weightsOfNoRun(path);
  if (weights === "averaged") await checkAveraged(path);
  return join(path, weightsFolders[weights]);
};

/**
 * Directory of an adapter that the user named.
 * @param tell gets a notice if the adapter is a run whose last weights are others than its best weights.
 */
export const adapterDirectory = async (path: string, tell: (notice: string) => void): Promise<string> => {
  const found = await modelDirectory(path);
  const last = join(path, folderNames.checkpoint);
  const notice = found === join(path, folderNames.best) ? await bestWeightsNotice(path, quoteWord(last)) : undefined;
  if (notice !== undefined) tell(`adapter ${path}: ${notice}`);
  return found;
};

/**
 * Description of the run at `path`, which may be the run's folder or one of its checkpoints. Undefined if the run has
 * no readable description.
 */
export const runOfModel = async (path: string): Promise<RunDescription | undefined> => {
  const isRun = await isFile(join(path, folderNames.description));
  return runOf(isRun ? join(path, folderNames.best) : path).catch((error: unknown) => {
    if (error instanceof ForetokenError) return undefined;
    throw error;
  });
};

/** Description of the run that wrote the checkpoint `path`. Undefined if the checkpoint is not in a run's folder. */
export const runOf = async (path: string): Promise<RunDescription | undefined> => {
  const folder = dirname(resolve(path));
  if (!(await isFile(join(folder, folderNames.description)))) return undefined;
  // This module is loaded only if needed, so that `generate` starts faster.
  const { readRunDescription } = await import("../../runs/description.node.ts");
  return readRunDescription(folder);
};
