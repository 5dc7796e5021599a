/** Reads the initial weights of a new run, from another run's folder or a checkpoint's directory. */

import { join } from "node:path";
import { CheckpointError } from "../../core/errors/errors.ts";
import { isFile } from "../../core/system/regular-file.node.ts";
import { quotePath, quoteWord } from "../../core/text/shell-word.ts";
import { checkpointOfRun, hasCheckpoint } from "../../io/checkpoint-place.node.ts";
import { differsFromKept } from "../../pretrained/adapter/base/as-trained.node.ts";
import { findWeights } from "../../pretrained/adapter/base/find.node.ts";
import { type BaseFiles, baseFilesOf } from "../../pretrained/adapter/base/keep.node.ts";
import { isAdapterFolder } from "../../pretrained/adapter/place.node.ts";
import { noticeUnchecked, openPretrained } from "../../pretrained/open.node.ts";
import type { RunDescription } from "../description.ts";
import { folderNames } from "../folder-names.ts";
import { noWeights } from "../lost-weights.node.ts";
import { type InitialWeights, initialWeightsOf } from "./initial-weights.ts";

/** Weights read from disk. */
export interface FoundWeights extends InitialWeights {
  /** As `Pretrained.sha256`. */
  readonly sha256: string;
  /** Files of the weights. A run that trains adapters keeps a copy of these files. */
  readonly files: BaseFiles;
}

/** Options for reading weights. */
export interface InitialOptions {
  /** Whether matrices stay in a GGUF file's blocks of 4 to 8 bits, for the base model of adapters. Default: false. */
  readonly keepBlocks?: boolean;
  /** Gets a notice if there is no manifest to compare the files with. */
  readonly onNotice?: ((line: string) => void) | undefined;
}

const isRun = (path: string): Promise<boolean> => isFile(join(path, folderNames.description));

/** A hint for a user who named an adapter: merge the adapter with its base model, and start from the result. */
const mergeFirst = (adapter: string): string =>
  `npx foretoken merge ${quotePath(adapter)} --out NEW, then initFrom NEW`;

const wayFrom =
  (option: string) =>
  async (kept: string): Promise<string> =>
    (await isAdapterFolder(kept)) ? mergeFirst(kept) : `${option} ${quoteWord(kept)}`;

/**
 * The checkpoint that `named` refers to. For a run, the checkpoint is the run's best weights, or the last weights if
 * there are no best weights.
 * @param option the option that names the checkpoint, for errors.
 */
export const checkpointOf = async (named: string, option = "initFrom"): Promise<string> => {
  if (!(await isRun(named))) return named;
  const found = await checkpointOfRun(named);
  if (found !== undefined) return found;
  throw await noWeights(`${option} ${named}`, named, wayFrom(option), `resume ${quoteWord(named)}`);
};

const read = async (
  directory: string,
  { onNotice = () => {}, keepBlocks = false }: InitialOptions,
): Promise<FoundWeights> => {
  const opened = await openPretrained(directory, { onNotice });
  if (opened.tokenizer.kind === "none") {
    await opened.weights.close();
    throw new CheckpointError({
      where: directory,
      must: "a checkpoint must have tokenizer.json to begin a run with",
      got: "no such file",
      hint: "a complete copy of the folder",
    });
  }
  await noticeUnchecked(opened, directory, onNotice);
  const hashes = async () => ({ sha256: await opened.sha256(), files: await baseFilesOf(opened) });
  const known = await hashes().catch(async (error: unknown) => {
    await opened.weights.close();
    throw error;
  });
  return { ...(await initialWeightsOf(opened, keepBlocks)), ...known };
};

/**
 * Reads the weights, the model's configuration and the tokenizer in `named`. The caller closes the weights.
 * @throws CheckpointError if a file is missing or damaged.
 */
export const readInitial = async (named: string, options: InitialOptions = {}): Promise<FoundWeights> => {
  const directory = await checkpointOf(named);
  if (await isAdapterFolder(directory)) {
    throw new CheckpointError({
      where: `initFrom ${named}`,
      must: "must name a whole model",
      got: "an adapter without its base model",
      // The hint contains `named`, not the directory, because `merge` also uses a run's best weights.
      hint: mergeFirst(named),
    });
  }
  return read(directory, options).catch(async (error: unknown) => {
    const last = join(named, folderNames.checkpoint);
    const isBest = directory === join(named, folderNames.best);
    if (!(error instanceof CheckpointError) || !isBest || !(await hasCheckpoint(last))) throw error;
    throw new CheckpointError({ ...error.details, hint: `initFrom ${quoteWord(last)}`, cause: error });
  });
};

/**
 * Finds the same complete weights in another place: in the run's own copy, or in another checkpoint of the run that
 * trained the weights.
 */
const readElsewhere = async (
  run: string,
  { path, sha256 }: NonNullable<RunDescription["data"]["initFrom"]>,
  options: InitialOptions,
): Promise<FoundWeights | null> => {
  for await (const place of findWeights(sha256, run, path)) {
    const found = await read(place, options).catch((error: unknown) => {
      if (!(error instanceof CheckpointError)) throw error;
      return null;
    });
    if (found?.sha256 !== sha256) {
      await found?.close();
      continue;
    }
    await options.onNotice?.(`${path}: the model has changed since ${run} began, so ${place} is used instead`);
    return found;
  }
  return null;
};

/**
 * Reads the initial weights of a run again. A run with adapters needs this function because it never saves its base
 * model. Another run needs this function if its process was killed after writing the description and before saving the
 * weights. The caller closes the weights.
 * @param onNotice gets a notice if the weights are found in another place.
 * @throws CheckpointError if the weights are missing or have changed.
 */
export const readStart = async (
  path: string,
  { config, data }: RunDescription,
  onNotice: (line: string) => void = () => {},
): Promise<FoundWeights | null> => {
  const from = data.initFrom;
  if (from === undefined) return null;
  const keepBlocks = config.lora !== undefined && from.blocks === true;
  const found = await readInitial(from.path, { keepBlocks }).catch((error: unknown) => error);
  const isThere = !(found instanceof Error) && (found as FoundWeights).sha256 === from.sha256;
  const isAsTrained =
    isThere && (config.lora === undefined || !(await differsFromKept(found as FoundWeights, path, from.sha256)));
  if (isAsTrained) return found as FoundWeights;
  if (!(found instanceof Error)) await (found as FoundWeights).close();
  const other = await readElsewhere(path, from, { keepBlocks, onNotice });
  if (other !== null) return other;
  throw new CheckpointError({
    where: `resume ${path}`,
    must:
      config.lora === undefined
        ? `the initial weights of the run must be in ${from.path}, because the run has not saved them yet`
        : `the base model of the adapters must be in ${from.path}, unchanged since the run began`,
    got: found instanceof Error ? "no readable weights" : "weights with another SHA-256",
    hint: config.lora === undefined ? "a new run in another folder" : "restoring it",
    cause: found,
  });
};
