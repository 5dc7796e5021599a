import { readdir, stat, utimes } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { CheckpointError, ForetokenError } from "../../core/errors.ts";
import { isRecord } from "../../core/is-record.ts";
import { readRegularFile, UnreadableFileError } from "../../core/regular-file.node.ts";
import { quoteWord } from "../../core/shell-word.ts";
import { systemErrorCode } from "../../core/system-error.ts";
import { replaceFile } from "../../io/files.node.ts";
import { filterJsonLines, readJsonLines } from "../../io/jsonl.node.ts";
import { type Lock, takeLock } from "../../io/lock.node.ts";
import type { Manifest } from "../../io/manifest.ts";
import { hasCheckpoint, readCheckpoint } from "../../io/read-checkpoint.node.ts";
import { readSafetensors } from "../../io/safetensors.ts";
import { adapterConfigName, adapterWeightsName } from "../../pretrained/adapter/config.ts";
import { pretrainedNames } from "../../pretrained/checkpoint-files.ts";
import { checkFormatVersion, checkJson, parseJson } from "../../pretrained/checkpoint-json.ts";
import { uncheckedNotice } from "../../pretrained/load.node.ts";
import { textFileNames } from "../../pretrained/parse.ts";
import type { KeptFacts } from "../../pretrained/pretrained-files.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { RunConfig } from "../config/config.ts";
import { earlierConfigs } from "../config/extend.ts";
import { eventVersion } from "../events.ts";
import { isEvaluationDue, isOutOfPatience, type Progress } from "../run/progress.ts";
import type { BrokenOff, ResumedState } from "../run/run-input.ts";
import { type StateArrays, stateLayouts, weightsName } from "../steps/state.ts";
import { folderNames, keptName, keptStep } from "./folder-names.ts";
import { keptSteps, takeUp } from "./kept-checkpoints.node.ts";
import { withoutLostBest } from "./lost-best.node.ts";
import { momentsFrom } from "./optimizer-file.ts";
import { configHash, descriptionText, isFolder, openRunFolder, type RunFolder } from "./run-folder.node.ts";
import { descriptionSchema, keptNames, type RunData, stateSchema } from "./run-schemas.ts";
import { adaptersOf, type BaseModel, checkSame, isSame, modelOf } from "./saved-weights.node.ts";

/** Description of a run, as its folder has it. */
export interface RunDescription {
  readonly config: RunConfig;
  readonly data: RunData;
  /** Number of checkpoints to keep, the last one included. */
  readonly keepLast: number;
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
      got: (await stat(path).catch(() => undefined)) === undefined ? "no such folder" : "a file",
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
  const described = checkVersioned(descriptionSchema, parseJson(bytes, where), where);
  const { data } = described;
  if (data.kept !== true) return described;
  // By their own names: a forged description may name any file.
  const names = keptNames(data.documents === true);
  const valData = data.valData === null ? null : join(path, names.valData);
  return { ...described, data: { ...data, data: join(path, names.data), valData } };
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
  return isOutOfPatience(progress, train) ? "patience" : null;
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
  // The saved run does not know of it: it is measured again.
  !(event.reason === "begin" && progress.best === null) &&
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
  readonly saved: {
    readonly state: ResumedState;
    readonly tokenizer: Tokenizer;
    readonly facts: KeptFacts;
  } | null;
  /**
   * @param run the run's configuration, which may have more steps than before: then its description is written anew;
   *   the checkpoint's tokenizer and facts, if there is one; and work that was interrupted when the run was stopped.
   * @param lock the run's; the folder takes it over.
   */
  open(run: ContinuedRun, lock: Lock): Promise<RunFolder>;
}

/** A run, as it goes on. */
export interface ContinuedRun {
  readonly config: RunConfig;
  readonly tokenizer: Tokenizer;
  readonly facts: KeptFacts;
  readonly broken?: BrokenOff | undefined;
}

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
  base: BaseModel | null,
): Promise<NonNullable<ResumedRun["saved"]>> => {
  const own = ["trainer_state.json", "optimizer.safetensors"] as const;
  // Read together: a writer may replace the checkpoint meanwhile by one of another step.
  const read = async () => {
    if (base === null) {
      const { files, manifest } = await readCheckpoint(directory, [...own, ...pretrainedNames], textFileNames);
      return { files, manifest, weights: () => modelOf(files, directory, manifest !== null, config) };
    }
    const { files, manifest } = await readCheckpoint(directory, [...own, adapterConfigName, adapterWeightsName]);
    return { files, manifest, weights: () => adaptersOf(files, directory, config, base) };
  };
  const { files, manifest, weights } = await read();
  if (manifest === null) await onNotice(uncheckedNotice(directory));
  const stateWhere = join(directory, "trainer_state.json");
  const stateJson = parseJson(files["trainer_state.json"], stateWhere);
  const { progress, config: saved } = checkVersioned(stateSchema, stateJson, stateWhere);
  // Hash of the file as it is: a later version fills in fields that the file lacks.
  checkBinding(manifest, progress.step, isRecord(stateJson) ? stateJson.config : undefined, stateWhere);
  // A checkpoint from before the run was extended has the configuration of that time.
  const earlier = earlierConfigs(config).find(({ until, config: one }) => progress.step <= until && isSame(saved, one));
  if (earlier === undefined) checkSame(stateWhere, saved, config);
  const { tokenizer, values, facts } = await weights();
  const optimizerWhere = join(directory, "optimizer.safetensors");
  const { tensors } = readSafetensors(files["optimizer.safetensors"], optimizerWhere);
  const arrays = new Map([[weightsName, values]]);
  for (const part of stateLayouts(config, tokenizer.vocabSize)) {
    if (part.name !== weightsName) arrays.set(part.name, momentsFrom(part, tensors, optimizerWhere));
  }
  return { state: { progress, take: givenOnce(arrays) }, tokenizer, facts };
};

/** Error for a checkpoint that cannot be read, with the command to continue from the one before, if there is one. */
const withWayBack = async (
  error: unknown,
  { path, checkpoint }: NamedRun,
  description: RunDescription,
  base: BaseModel | null,
): Promise<unknown> => {
  if (!(error instanceof CheckpointError)) return error;
  const failed = keptStep(checkpoint) ?? Number.POSITIVE_INFINITY;
  for (const step of await keptSteps(path).catch(() => [])) {
    if (step >= failed) continue;
    const whole = await readSaved(join(path, keptName(step)), description, () => {}, base).then(
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

/** Writes the description of a run that was extended, in place of the one before. */
const redescribe = async (root: string, described: RunDescription, config: RunConfig): Promise<void> => {
  if (isSame(config, described.config)) return;
  const path = join(root, folderNames.description);
  // An action for this process alone is not the run's.
  const { onNonfinite } = described.config.train;
  const train = { ...config.train, onNonfinite };
  const { atime, mtime } = await stat(path);
  await replaceFile(path, descriptionText({ ...described, config: { ...config, train } }));
  // The time of the file tells when the run was begun.
  await utimes(path, atime, mtime).catch(() => undefined);
};

/**
 * Reads a checkpoint of the run `named`. Nothing is changed before `open`.
 * @param described the run's description, as it is on the disk.
 * @param keepLast checkpoints to keep from now on.
 * @param onNotice is called if there is no manifest to compare the files with.
 * @param base the model that the run's adapters are for; null: it trains all weights.
 * @throws CheckpointError if a file is missing or damaged, or the checkpoint is of another config or step.
 */
export const readRun = async (
  named: NamedRun,
  described: RunDescription,
  keepLast: number = described.keepLast,
  onNotice: (line: string) => void = () => {},
  base: BaseModel | null = null,
): Promise<ResumedRun> => {
  const { path, checkpoint } = named;
  const root = resolve(path);
  const directory = join(path, checkpoint);
  const { data } = described;
  const subject = { data, keepLast, keptMore: described.keepLast > 1 };
  if (!(await hasCheckpoint(directory))) {
    await checkNeverSaved(named);
    return {
      saved: null,
      async open({ config, tokenizer, facts }, lock) {
        await redescribe(root, described, config);
        await filterJsonLines(join(root, folderNames.metrics), () => false);
        return openRunFolder(path, { ...subject, config, tokenizer, facts }, lock, true, root);
      },
    };
  }
  const read = await readSaved(directory, described, onNotice, base).catch(async (error: unknown) => {
    throw await withWayBack(error, named, described, base);
  });
  const saved = { ...read, state: await withoutLostBest(path, read.state, onNotice) };
  return {
    saved,
    async open({ config, tokenizer, facts, broken }, lock) {
      if (checkpoint !== folderNames.checkpoint) {
        const aside = await takeUp(root, checkpoint);
        if (aside !== undefined) {
          await onNotice(
            `${join(path, aside)}: the checkpoint that was the last one; remove it when it is not wanted any more`,
          );
        }
      }
      // Before the notes: a run that was killed in between is an extended one, with notes to mend.
      await redescribe(root, described, config);
      await mendNotes(path, root, saved.state.progress, config.train, broken);
      return openRunFolder(path, { ...subject, config, tokenizer, facts }, lock, false, root);
    },
  };
};
