import { stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { CheckpointError, ConfigError, ForetokenError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { hasCheckpoint } from "../../io/read-checkpoint.node.ts";
import type { RunDescription } from "../../runs/description.ts";
import { folderNames } from "../../runs/folder-names.ts";
import { loadInWorker, type WorkerLoadOptions, type WorkerModel } from "../../worker/model.node.ts";
import { formatBytes, formatCount } from "../display/texts/format.ts";
import { progressLine } from "../process/progress-line.ts";
import { bestStepOf, bestWeightsNotice, lostBestNotice } from "./best-weights.ts";

/** What a command takes for a model, in its help. */
export const modelPlaces =
  "a run's folder, a model directory (of foretoken or Hugging Face), a GGUF file, or hf:org/name";

/** Which weights of a run: the ones with the lowest validation loss, or the ones of its last checkpoint. */
export const weightsNames = ["best", "last"] as const;
export type WeightsName = (typeof weightsNames)[number];

/** What belongs to a model besides its place. */
export interface ModelParts {
  /** Which weights of a run; undefined: the best, if there are any. */
  readonly weights?: WeightsName;
  /** A LoRA adapter for the model: its folder, or a run's. */
  readonly adapter?: string;
  /** The model, where an adapter is named in its place. */
  readonly base?: string;
  /** false with --no-base-check: an adapter is put on any weights that fit. */
  readonly baseCheck?: boolean;
}

/** A loaded model and its path. */
export interface FoundModel {
  readonly lm: WorkerModel;
  /** The directory that it was read from. */
  readonly directory: string;
  /** Lines for people: which weights were taken, if the choice was ours, and that they are unchecked. */
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

/** Loaded when needed, since most commands find weights. */
const noWeights = async (run: string): Promise<CheckpointError> =>
  (await import("../../runs/lost-weights.node.ts")).noWeights(run, run);

/** Bytes of a model whose loading takes long enough to be shown. */
const shownFrom = 50 * 2 ** 20;

const option = /^(?:loadPretrained|exportModel): (?=(?:adapter|base|adapterOnly|dtype)$)/u;
const inKebab = (name: string): string => name.replace(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`);
const asOption = /^base (?=\S)/u;

/** An error about adapters, or the model that guesses, in the words of the command line: flags instead of options. */
export const inModelFlags = (error: unknown): unknown => {
  if (!(error instanceof ForetokenError)) return error;
  const { where, hint = "" } = error.details;
  if (where === "loadInWorker: draft") return new ConfigError({ ...error.details, where: "--speculate", cause: error });
  if (option.test(where))
    return new ConfigError({ ...error.details, where: inKebab(where.replace(option, "--")), cause: error });
  if (!(error instanceof CheckpointError)) return error;
  const flags = hint.replace(asOption, "--base ").replace(/baseCheck: false(?= to take these$)/u, "--no-base-check");
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
    const lm = await loadInWorker(directory, { ...options, onNotice, onProgress });
    // The text of a run is that of its adapter.
    const { adapter = directory } = options;
    return { lm, directory: typeof adapter === "string" ? adapter : directory, notices };
  } catch (error) {
    throw inModelFlags(error);
  } finally {
    line.clear();
  }
};

/** The best weights, unless they are damaged and the run has others. */
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

/** The error for `--weights` of a model that has no others. */
const weightsOfNoRun = (path: string): ConfigError =>
  new ConfigError({
    where: "--weights",
    must: "works only with a run's folder, which has several checkpoints",
    got: `${path}, which is a single checkpoint`,
    hint: "the run's folder, or no --weights",
  });

/**
 * Loads the user's model, from a checkpoint directory or from a run, and the adapter that was named.
 * @throws ConfigError for `weights` of a directory that is no run; CheckpointError for a run without weights yet.
 */
export const loadNamed = async (
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
            got: "none: they were deleted, or replaced before the run returned to an earlier checkpoint",
          }),
      hint: "--weights last",
    });
  }
  if (!hasBest) throw await noWeights(path);
  const must = "the run must have a checkpoint";
  throw new CheckpointError({ where: path, must, got: "only its best weights", hint: "--weights best" });
};

/**
 * The place of a model that the user named: of a run, its best weights, or its last ones if there are no best yet.
 * @throws CheckpointError for a run without weights yet.
 */
export const modelDirectory = async (path: string): Promise<string> => {
  if (!(await isFile(join(path, folderNames.description)))) return path;
  for (const name of [folderNames.best, folderNames.checkpoint]) {
    if (await hasCheckpoint(join(path, name))) return join(path, name);
  }
  throw await noWeights(path);
};

/**
 * The place of a model of which the user may name the weights.
 * @throws ConfigError for `weights` of a directory that is no run; CheckpointError for a run without weights yet.
 */
export const weightsDirectory = async (path: string, weights: WeightsName | undefined): Promise<string> => {
  const found = await modelDirectory(path);
  if (weights === undefined) return found;
  if (found === path) throw weightsOfNoRun(path);
  return join(path, weights === "best" ? folderNames.best : folderNames.checkpoint);
};

/** Description of the run whose folder, or a checkpoint of it, is `path`; undefined if there is none that can be read. */
export const runOfModel = async (path: string): Promise<RunDescription | undefined> => {
  const isRun = await isFile(join(path, folderNames.description));
  return runOf(isRun ? join(path, folderNames.best) : path).catch((error: unknown) => {
    if (error instanceof ForetokenError) return undefined;
    throw error;
  });
};

/** Description of the run that wrote the checkpoint `path`; undefined if it is in no run's folder. */
export const runOf = async (path: string): Promise<RunDescription | undefined> => {
  const folder = dirname(resolve(path));
  if (!(await isFile(join(folder, folderNames.description)))) return undefined;
  // Loaded when needed: `generate` does not need it and begins sooner without.
  const { readRunDescription } = await import("../../runs/description.node.ts");
  return readRunDescription(folder);
};
