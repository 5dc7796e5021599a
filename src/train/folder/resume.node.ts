import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { CheckpointError, ForetokenError } from "../../core/errors.ts";
import { isRecord } from "../../core/is-record.ts";
import { readRegularFile, UnreadableFileError } from "../../core/regular-file.node.ts";
import { quoteWord } from "../../core/shell-word.ts";
import { systemErrorCode } from "../../core/system-error.ts";
import { hasCheckpoint, readCheckpoint } from "../../io/checkpoint.node.ts";
import { filterJsonLines, readJsonLines } from "../../io/jsonl.node.ts";
import { type Lock, takeLock } from "../../io/lock.node.ts";
import type { Manifest } from "../../io/manifest.ts";
import { readSafetensors } from "../../io/safetensors.ts";
import { checkFormatVersion, checkJson, parseJson } from "../../pretrained/checkpoint-json.ts";
import { uncheckedNotice } from "../../pretrained/load.node.ts";
import { parsePretrained, pretrainedNames } from "../../pretrained/parse.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { RunConfig } from "../config/config.ts";
import { eventVersion } from "../events.ts";
import { isEvaluationDue, type Progress } from "../run/progress.ts";
import type { BrokenOff, ResumedState } from "../run/run-input.ts";
import { type StateArrays, stateLayouts, weightsName } from "../steps/state.ts";
import { brokenOff } from "./ended-run.node.ts";
import { folderNames, keptName, keptStep } from "./folder-names.ts";
import { keptSteps, takeUp } from "./kept-checkpoints.node.ts";
import { momentsFrom } from "./optimizer-file.ts";
import { configHash, fixedConfig, isFolder, openRunFolder, type RunFolder } from "./run-folder.node.ts";
import { descriptionSchema, type RunData, stateSchema } from "./run-schemas.ts";

/** Description of a run, as its folder has it. */
export interface RunDescription {
  readonly config: RunConfig;
  readonly data: RunData;
  /** Number of checkpoints to keep, the last one included. */
  readonly keepLast: number;
  /** Whether more than one were kept before. */
  readonly keptMore?: boolean;
}

const versioned = z.object({ formatVersion: z.int() });

/** Checks JSON of a run. The version goes first: a later version may have fields that are unknown here. */
const checkVersioned = <Schema extends z.ZodType>(schema: Schema, json: unknown, where: string) => {
  const version = versioned.safeParse(json);
  if (version.success) checkFormatVersion(version.data.formatVersion, where);
  return checkJson(schema, json, where);
};

const maxDescriptionBytes = 2 ** 20;

/** Most entries of a folder that are looked at. */
const mostEntries = 1000;

/** Names of the runs in `folder`, the latest first. */
const runsIn = async (folder: string): Promise<readonly string[]> => {
  const names = await readdir(folder).catch(() => []);
  const found = await Promise.all(
    names.slice(0, mostEntries).map(async (name) => {
      const { description, metrics } = folderNames;
      const [about, notes] = await Promise.all(
        [description, metrics].map((file) => stat(join(folder, name, file)).catch(() => undefined)),
      );
      return about?.isFile() === true ? [{ name, time: notes?.mtimeMs ?? about.mtimeMs }] : [];
    }),
  );
  return found
    .flat()
    .sort((a, b) => b.time - a.time)
    .map(({ name }) => name);
};

const readDescription = async (path: string, where: string): Promise<Uint8Array> => {
  try {
    return await readRegularFile(join(path, folderNames.description), { maxBytes: maxDescriptionBytes });
  } catch (cause) {
    if (systemErrorCode(cause) === "ENOENT") {
      const [run, ...others] = await runsIn(path);
      if (run !== undefined) {
        throw new CheckpointError({
          where: `resume ${path}`,
          must: "must name a run's folder",
          got: `a folder that holds ${others.length === 0 ? "a run" : "runs"}`,
          hint: `resume ${quoteWord(join(path, run))}${others.length > 0 ? " or another one" : ""}`,
        });
      }
      throw new CheckpointError({
        where: path,
        must: `a run's folder must have ${folderNames.description}`,
        got: "no such file",
        hint: "the run's folder itself, not its checkpoint",
      });
    }
    const isKind = cause instanceof UnreadableFileError;
    throw new CheckpointError({
      where,
      must: isKind ? cause.must : "the file must be readable",
      got: isKind ? cause.got : cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
};

/** @throws CheckpointError if `path` is no run's folder or its description is damaged. */
export const readRunDescription = async (path: string): Promise<RunDescription> => {
  if (!(await isFolder(path))) {
    throw new CheckpointError({
      where: `resume ${path}`,
      must: "must name a run's folder",
      got: "no such folder",
      hint: "the folder that train named in its first lines",
    });
  }
  const where = join(path, folderNames.description);
  const bytes = await readDescription(path, where);
  if (bytes.every((byte) => byte === 0)) {
    throw new CheckpointError({
      where,
      must: "the file must say what the run is",
      got: "an empty one, left by a process that was ended before the run began",
      hint: `a new run, for which ${path} is free if nothing else is in it`,
    });
  }
  return checkVersioned(descriptionSchema, parseJson(bytes, where), where);
};

/** A run and one of its checkpoints, as the user named them. */
export interface NamedRun {
  /** The run's folder. */
  readonly path: string;
  /** Name of the checkpoint in it. */
  readonly checkpoint: string;
}

/** Resolves `named`: a run's folder, for its last checkpoint, or one of the checkpoints in it. */
export const findRun = async (named: string): Promise<NamedRun> => {
  const name = basename(resolve(named));
  const isCheckpoint = name === folderNames.checkpoint || keptStep(name) !== undefined;
  if (isCheckpoint && (await isFolder(named))) {
    const folder = dirname(resolve(named));
    const hasRun = await readRegularFile(join(folder, folderNames.description), { maxBytes: maxDescriptionBytes }).then(
      () => true,
      () => false,
    );
    if (hasRun)
      return { path: dirname(named) === "." && !named.includes("/") ? folder : dirname(named), checkpoint: name };
  }
  return { path: named, checkpoint: folderNames.checkpoint };
};

/**
 * Takes a run's lock. @throws ConfigError if another process works in the folder, CheckpointError if no lock is
 * possible.
 */
export const lockRun = async (path: string): Promise<Lock> => {
  try {
    return await takeLock(join(resolve(path), folderNames.lock), `resume ${path}`);
  } catch (cause) {
    if (cause instanceof ForetokenError) throw cause;
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError({ where: `resume ${path}`, must: "the run's folder must be writable", got, cause });
  }
};

/** How a run has ended by itself; null if there are steps left. */
export const endOf = (progress: Progress, train: RunConfig["train"]): "finished" | "patience" | null => {
  if (progress.step >= train.steps) return isEvaluationDue(progress, train) ? null : "finished";
  return train.patience > 0 && progress.evalsSinceBest >= train.patience ? "patience" : null;
};

/** Whether the checkpoint of `step` is planned, and not the run's last: that one is noted with the end. */
const isPlanned = (step: number, progress: Progress, train: RunConfig["train"]): boolean =>
  step > 0 &&
  step % train.checkpointInterval === 0 &&
  !(step === progress.step && (isEvaluationDue(progress, train) || endOf(progress, train) !== null));

/** Events between a step and its planned checkpoint. */
const afterStep: readonly unknown[] = ["eval", "overfitting", "sample"];

/** Which noted events a run resumed at `step` keeps: the events of an uninterrupted run. */
const belongsBefore = (event: unknown, progress: Progress, train: RunConfig["train"]): boolean =>
  isRecord(event) &&
  typeof event.step === "number" &&
  event.step <= progress.step &&
  event.type !== "done" &&
  event.reason !== "interrupted" &&
  // They are made again, with the evaluation that is due.
  !(event.step === progress.step && isEvaluationDue(progress, train) && afterStep.includes(event.type)) &&
  // An unplanned checkpoint, or one before its step's evaluation, was written because the run was stopped.
  !(event.type === "checkpoint" && !isPlanned(event.step, progress, train));

/**
 * Rewrites the noted events of a run that continues at `progress`. If a process was killed between a checkpoint and its
 * note, the note is added.
 */
const mendNotes = async (
  path: string,
  root: string,
  progress: Progress,
  train: RunConfig["train"],
  broken: BrokenOff | undefined,
): Promise<void> => {
  const { step } = progress;
  // After a repeated sample the checkpoint is written and noted again: in the order of all runs.
  const isLater = broken?.sample === true;
  let noted = step === 0 || isLater || !isPlanned(step, progress, train);
  let kept = false;
  const keep = (event: unknown): boolean => {
    if (!belongsBefore(event, progress, train)) return false;
    if (!isRecord(event) || event.type !== "checkpoint" || event.step !== step) return true;
    // A resumption that was stopped before its first step has written it again.
    if (isLater || kept) return false;
    kept = true;
    noted = true;
    return true;
  };
  const event = { v: eventVersion, type: "checkpoint", step, path: join(path, folderNames.checkpoint) };
  await filterJsonLines(join(root, folderNames.metrics), keep, () => (noted ? [] : [event]));
};

/** A run read back from its folder, and the folder, opened to continue it. */
export interface ResumedRun {
  /** The checkpoint; null for a run that ended before its first: it starts again. */
  readonly saved: { readonly state: ResumedState; readonly tokenizer: Tokenizer } | null;
  /**
   * @param tokenizer the checkpoint's, if there is one.
   * @param lock the run's; the folder takes it over.
   */
  open(tokenizer: Tokenizer, lock: Lock): Promise<RunFolder>;
  /** Work that was interrupted when the run was stopped. */
  readonly broken: BrokenOff | undefined;
}

const checkSame = (where: string, one: unknown, description: unknown): void => {
  if (fixedConfig(one) === fixedConfig(description)) return;
  throw new CheckpointError({
    where,
    must: `the checkpoint's config must be that of ${folderNames.description}`,
    got: "another one",
    hint: "undoing the change",
  });
};

/** Fails for files of another step, or of another configuration, than the manifest's. */
const checkBinding = (manifest: Manifest | null, step: number, config: unknown, where: string): void => {
  const run = manifest?.run;
  if (run === null || run === undefined) return;
  if (run.step === step && run.config === configHash(config)) return;
  throw new CheckpointError({
    where,
    must: "the step and the configuration must be those of the checkpoint's manifest",
    got: run.step === step ? "another configuration" : `step ${step} with a manifest of step ${run.step}`,
    hint: "a complete copy of the folder",
  });
};

/** Returned once, so that nobody keeps the arrays once they are in the backend. */
const givenOnce = (arrays: StateArrays): (() => StateArrays) => {
  let kept: StateArrays | undefined = arrays;
  return () => {
    const given = kept;
    if (given === undefined) throw new Error("a checkpoint's arrays are given once");
    kept = undefined;
    return given;
  };
};

const readSaved = async (
  directory: string,
  { config }: RunDescription,
  onNotice: (line: string) => void,
): Promise<NonNullable<ResumedRun["saved"]>> => {
  const own = ["trainer_state.json", "optimizer.safetensors"] as const;
  // Read together: a writer may replace the checkpoint meanwhile by one of another step.
  const { files, manifest } = await readCheckpoint(directory, [...own, ...pretrainedNames]);
  if (manifest === null) await onNotice(uncheckedNotice(directory));
  const stateWhere = join(directory, "trainer_state.json");
  const stateJson = parseJson(files["trainer_state.json"], stateWhere);
  const { progress, config: saved } = checkVersioned(stateSchema, stateJson, stateWhere);
  // Hash of the file as it is: a later version fills in fields that the file lacks.
  checkBinding(manifest, progress.step, isRecord(stateJson) ? stateJson.config : undefined, stateWhere);
  checkSame(stateWhere, saved, config);
  const { tokenizer, values, config: model } = parsePretrained(directory, files);
  checkSame(join(directory, "config.json"), model, config.model);
  checkSame(join(directory, "tokenizer.json"), tokenizer.kind, config.tokenizer.kind);
  const optimizerWhere = join(directory, "optimizer.safetensors");
  const { tensors } = readSafetensors(files["optimizer.safetensors"], optimizerWhere);
  const arrays = new Map([[weightsName, values]]);
  for (const part of stateLayouts(config, tokenizer.vocabSize)) {
    if (part.name !== weightsName) arrays.set(part.name, momentsFrom(part, tensors, optimizerWhere));
  }
  return { state: { progress, take: givenOnce(arrays) }, tokenizer };
};

/** Error for a checkpoint that cannot be read, with the command to continue from the one before, if there is one. */
const withWayBack = async (
  error: unknown,
  { path, checkpoint }: NamedRun,
  description: RunDescription,
): Promise<unknown> => {
  if (!(error instanceof CheckpointError)) return error;
  const failed = keptStep(checkpoint) ?? Number.POSITIVE_INFINITY;
  for (const step of await keptSteps(path).catch(() => [])) {
    if (step >= failed) continue;
    const whole = await readSaved(join(path, keptName(step)), description, () => {}).then(
      () => true,
      () => false,
    );
    if (!whole) continue;
    return new CheckpointError({
      ...error.details,
      hint: `resume ${quoteWord(join(path, keptName(step)))}`,
      cause: error,
    });
  }
  return error;
};

/** Fails for a run that has lost its checkpoint, unlike a run that had none yet. */
const checkNeverSaved = async ({ path, checkpoint }: NamedRun): Promise<void> => {
  const [kept] = await keptSteps(path);
  let saved = kept;
  for await (const line of readJsonLines(join(path, folderNames.metrics))) {
    if (isRecord(line) && line.type === "checkpoint" && typeof line.step === "number") saved ??= line.step;
  }
  if (saved === undefined) return;
  throw new CheckpointError({
    where: join(path, checkpoint),
    must: "the run's checkpoint must be there, since one was saved",
    got: "no such folder",
    hint: kept === undefined ? "restoring it" : `resume ${quoteWord(join(path, keptName(kept)))}`,
  });
};

/**
 * Reads a checkpoint of the run `named`. Nothing is changed before `open`.
 * @param onNotice is called if there is no manifest to compare the files with.
 * @throws CheckpointError if a file is missing or damaged, or the checkpoint is of another config or step.
 */
export const readRun = async (
  named: NamedRun,
  description: RunDescription,
  onNotice: (line: string) => void = () => {},
): Promise<ResumedRun> => {
  const { path, checkpoint } = named;
  const root = resolve(path);
  const directory = join(path, checkpoint);
  if (!(await hasCheckpoint(directory))) {
    await checkNeverSaved(named);
    return {
      saved: null,
      broken: undefined,
      async open(tokenizer, lock) {
        await filterJsonLines(join(root, folderNames.metrics), () => false);
        return openRunFolder(path, { ...description, tokenizer }, lock, true, root);
      },
    };
  }
  const saved = await readSaved(directory, description, onNotice).catch(async (error: unknown) => {
    throw await withWayBack(error, named, description);
  });
  const { train } = description.config;
  const { progress } = saved.state;
  const broken = await brokenOff(path, progress, train);
  return {
    saved,
    broken,
    async open(tokenizer, lock) {
      if (checkpoint !== folderNames.checkpoint) {
        const aside = await takeUp(root, checkpoint);
        if (aside !== undefined) {
          await onNotice(
            `${join(path, aside)}: the checkpoint that was the last one; remove it when it is not wanted any more`,
          );
        }
      }
      await mendNotes(path, root, progress, train, broken);
      return openRunFolder(path, { ...description, tokenizer }, lock, false, root);
    },
  };
};
