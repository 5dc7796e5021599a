import { stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { CheckpointError, ConfigError } from "../core/errors.ts";
import { quoteWord } from "../core/shell-word.ts";
import { systemErrorCode } from "../core/system-error.ts";
import { hasCheckpoint } from "../io/checkpoint.node.ts";
import { folderNames } from "../train/folder/folder-names.ts";
import type { RunDescription } from "../train/folder/resume.node.ts";
import { loadInWorker, type WorkerLoadOptions, type WorkerModel } from "../worker/model.node.ts";
import { bestWeightsNotice } from "./best-weights.ts";

/** Which weights of a run: the ones with the lowest validation loss, or the ones of its last checkpoint. */
export const weightsNames = ["best", "last"] as const;
export type WeightsName = (typeof weightsNames)[number];

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
      if (["ENOENT", "ENOTDIR"].includes(systemErrorCode(error) ?? "")) return false;
      throw error;
    },
  );

const noWeights = (run: string, must: string, hint: string): CheckpointError =>
  new CheckpointError({ where: run, must, got: "none yet", hint });

const load = async (directory: string, options: WorkerLoadOptions): Promise<FoundModel> => {
  const notices: string[] = [];
  const onNotice = (line: string): void => {
    notices.push(line);
  };
  return { lm: await loadInWorker(directory, { ...options, onNotice }), directory, notices };
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
  const last = await load(join(run, folderNames.checkpoint), options);
  const notice = `${found.message}; the weights of the last checkpoint serve instead`;
  return { ...last, notices: [notice, ...last.notices] };
};

/**
 * Loads the user's model, from a checkpoint directory or from a run.
 * @param weights which weights of a run; undefined: the best, if there are any.
 * @throws ConfigError for `weights` of a directory that is no run; CheckpointError for a run without weights yet.
 */
export const loadNamed = async (
  path: string,
  weights: WeightsName | undefined,
  options: WorkerLoadOptions,
): Promise<FoundModel> => {
  if (!(await isFile(join(path, folderNames.description)))) {
    if (weights === undefined || !(await hasCheckpoint(path))) return load(path, options);
    throw new ConfigError({
      where: "--weights",
      must: "must go with a run's folder, which has more than one checkpoint",
      got: `${path}, which is a checkpoint itself`,
      hint: "the run's folder, or no --weights",
    });
  }
  const [hasBest, hasLast] = await Promise.all([
    hasCheckpoint(join(path, folderNames.best)),
    hasCheckpoint(join(path, folderNames.checkpoint)),
  ]);
  if (hasBest && weights !== "last") return loadBest(path, options, weights === "best" || !hasLast);
  if (hasLast && weights !== "best") return load(join(path, folderNames.checkpoint), options);
  if (weights === "best" && hasLast) {
    throw noWeights(path, "the run must have weights of an evaluation", "--weights last");
  }
  throw noWeights(
    path,
    "the run must have a checkpoint",
    hasBest ? "--weights best" : `npx foretoken train --resume ${quoteWord(path)}`,
  );
};

/** Description of the run that wrote the checkpoint `path`; undefined if it is in no run's folder. */
export const runOf = async (path: string): Promise<RunDescription | undefined> => {
  const folder = dirname(resolve(path));
  if (!(await isFile(join(folder, folderNames.description)))) return undefined;
  // Loaded when needed: `generate` does not need it and begins sooner without.
  const { readRunDescription } = await import("../train/folder/resume.node.ts");
  return readRunDescription(folder);
};
