import { readdir, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import type { RunConfig } from "../../config/config.ts";
import { presetOf } from "../../config/preset-of.ts";
import type { PresetName } from "../../config/presets.ts";
import { checkPath } from "../../core/checks/check-arguments.ts";
import { CheckpointError, ForetokenError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { oneLine, shorten } from "../../core/text/one-line.ts";
import { parseLine } from "../../io/json-line.ts";
import { readWholeLines } from "../../io/jsonl.node.ts";
import { hasCheckpoint } from "../../io/read-checkpoint.node.ts";
import { readRunDescription } from "../description.node.ts";
import type { DoneEvent } from "../events.ts";
import { findsFolder } from "../finds-folder.node.ts";
import { folderNames } from "../folder-names.ts";
import {
  bestEval,
  isRising,
  type NotedDone,
  type NotedEval,
  type NotedEvent,
  type NotedStart,
  parseFailure,
  parseNoted,
} from "../noted-events.ts";

/** How a run ended. `failed`: with an error. `unfinished`: under way, or killed; the folder cannot tell which. */
export type RunState = DoneEvent["reason"] | "failed" | "unfinished";

/** A validation loss and its step. */
export interface RunLoss {
  /** Updates done. */
  readonly step: number;
  /** Nats per token. */
  readonly valLoss: number;
  /** Nats per character (code point). */
  readonly natsPerCharacter: number;
  /** Bits per byte of UTF-8. */
  readonly bitsPerByte: number;
}

/** A run, as its folder describes it. */
export interface ListedRun {
  /** The folder's name. */
  readonly name: string;
  /** The folder's path. */
  readonly path: string;
  /** How it ended. */
  readonly state: RunState;
  /** The error that ended a run whose state is `failed`, in one line; else null. */
  readonly failure: string | null;
  /** When the folder was made, in ISO 8601: the time of a file in it. */
  readonly startedAt: string;
  /** When the last note was written, in ISO 8601. */
  readonly updatedAt: string;
  /** The preset, with any steps, seed and intervals; null if other fields were changed. */
  readonly preset: PresetName | null;
  /** null if nothing has been noted yet. */
  readonly parameters: number | null;
  /** Name of the text. */
  readonly corpus: string;
  /** SHA-256 of the text, with the place of its split: losses compare between runs with the same one. */
  readonly corpusSha256: string;
  /** Number of tokens that the model knows; null if nothing has been noted yet. */
  readonly vocabSize: number | null;
  /** Updates done. */
  readonly step: number;
  /** Updates planned. */
  readonly steps: number;
  /** The best evaluation: the lowest validation loss, as far as its weights were kept; null before the first. */
  readonly best: RunLoss | null;
  /** Whether the validation loss was rising at the last evaluation: more steps would not help. */
  readonly rising: boolean;
  /** The directory for the other commands; null if nothing is saved yet. */
  readonly checkpoint: string | null;
  /** The checkpoint whose weights it began with; null if it drew its own. */
  readonly initFrom: string | null;
  /** Its configuration. */
  readonly config: RunConfig;
}

/** A folder that is not a run, or cannot be read. */
export interface SkippedFolder {
  /** Its path. */
  readonly path: string;
  /** Why it is no run, in one line. */
  readonly reason: string;
}

/** Result of `listRuns`. */
export interface RunList {
  /** Newest first. */
  readonly runs: readonly ListedRun[];
  /** Folders that are no runs. */
  readonly skipped: readonly SkippedFolder[];
}

interface Noted {
  /** All steps of the plan. */
  readonly steps: number;
  /** Bytes that were read, up to the end of a line. */
  end: number;
  start: NotedStart | undefined;
  step: number;
  readonly evals: NotedEval[];
  /** How it ended; a run that was saved after its last evaluation has ended, even without a note. */
  ended: NotedDone["reason"] | "failed" | undefined;
  /** Of a run that has failed. */
  failure: string | null;
}

const take = (noted: Noted, event: NotedEvent): void => {
  // Events after `done` are from a resumed run.
  if (event.type !== "start") noted.ended = undefined;
  switch (event.type) {
    case "start":
      noted.start = event;
      return;
    case "eval":
      noted.evals.push(event);
      break;
    case "done":
      noted.ended = event.reason;
      break;
    case "checkpoint":
      // Not a former end of a run that was extended.
      if (noted.evals.at(-1)?.reason === "end" && event.step >= noted.steps) noted.ended = "finished";
      break;
    case "step":
    case "sample":
      break;
  }
  noted.step = Math.max(noted.step, event.step);
};

/** Most characters of an error that are shown. */
const mostOfError = 280;

/** Beginning of a line for a step: nearly all lines are, and only the last one matters. */
const stepLine = '{"v":1,"type":"step",';

/**
 * Damaged lines are skipped, and half a line at the end is left for later: it is being written, or its process was killed.
 * @param before of the same notes when they were shorter.
 */
const readNoted = async (path: string, steps: number, before?: Noted): Promise<Noted> => {
  const noted: Noted = before ?? {
    steps,
    end: 0,
    start: undefined,
    step: 0,
    evals: [],
    ended: undefined,
    failure: null,
  };
  let lastStep: string | undefined;
  const takeLine = (line: string): void => {
    const value = parseLine(line);
    const event = parseNoted(value);
    if (event !== undefined) take(noted, event);
    const failure = event === undefined ? parseFailure(value) : undefined;
    if (failure !== undefined) {
      noted.ended = "failed";
      noted.failure = oneLine(shorten(failure.error, mostOfError));
    }
  };
  for await (const { lines, end } of readWholeLines(path, noted.end)) {
    for (const line of lines) {
      if (line.startsWith(stepLine)) {
        // The line before it may be the last complete one.
        if (lastStep !== undefined && !line.endsWith("}")) takeLine(lastStep);
        lastStep = line;
        noted.ended = undefined;
        continue;
      }
      if (lastStep !== undefined) takeLine(lastStep);
      lastStep = undefined;
      takeLine(line);
    }
    noted.end = end;
  }
  if (lastStep !== undefined) takeLine(lastStep);
  return noted;
};

/** Facts of a file by which a change of it is noticed: the public types name none of Node's. */
interface FileFacts {
  readonly dev: number;
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
  readonly mtime: Date;
}

const statsOf = async (path: string): Promise<FileFacts | undefined> => stat(path).catch(() => undefined);

/** The files that a run's line in the list is made of. */
interface RunFiles {
  readonly description: FileFacts | undefined;
  readonly metrics: FileFacts | undefined;
  readonly saved: boolean;
}

const filesOf = async (path: string): Promise<RunFiles> => {
  const [description, metrics, saved] = await Promise.all([
    statsOf(join(path, folderNames.description)),
    statsOf(join(path, folderNames.metrics)),
    hasCheckpoint(join(path, folderNames.checkpoint)),
  ]);
  return { description, metrics, saved };
};

const isSameFile = (a: FileFacts | undefined, b: FileFacts | undefined): boolean =>
  a?.ino === b?.ino && a?.dev === b?.dev;

const isUnchanged = (a: FileFacts | undefined, b: FileFacts | undefined): boolean =>
  isSameFile(a, b) && a?.size === b?.size && a?.mtimeMs === b?.mtimeMs;

/** A run as it was read before. */
interface KnownRun {
  readonly files: RunFiles;
  readonly listed: ListedRun;
  readonly noted: Noted;
}

/** Runs that were read before, by their paths: files that have not changed since are not read again. */
export type KnownRuns = Map<string, KnownRun>;

/** Milliseconds from 1970 that a date can be away from it. */
const furthest = 8.64e15;

/** A file's time, which may be one that no date has. */
const isoTime = (time: Date): string =>
  new Date(Number.isNaN(time.getTime()) ? furthest : time.getTime()).toISOString();

const readListed = async (path: string, known: KnownRuns | undefined): Promise<ListedRun> => {
  // Before the files are read: what is written meanwhile is a change.
  const files = await filesOf(path);
  const before = known?.get(path);
  const isSameRun = before !== undefined && isUnchanged(before.files.description, files.description);
  if (isSameRun && isUnchanged(before.files.metrics, files.metrics) && before.files.saved === files.saved) {
    return before.listed;
  }
  // A resumed run replaces its notes by shorter ones; else they grow.
  const isLonger = isSameRun && isSameFile(before.files.metrics, files.metrics);
  const grows = isLonger && (files.metrics?.size ?? 0) >= before.noted.end;
  known?.delete(path);
  const { config, data } = await readRunDescription(path);
  const metrics = join(path, folderNames.metrics);
  const noted = await readNoted(metrics, config.train.steps, grows ? before.noted : undefined);
  const { start, step, evals, ended, failure } = noted;
  const started = files.description?.mtime ?? new Date(0);
  const best = bestEval(evals);
  const listed: ListedRun = {
    name: basename(resolve(path)),
    path,
    state: ended ?? "unfinished",
    failure: ended === "failed" ? failure : null,
    startedAt: isoTime(started),
    updatedAt: isoTime(files.metrics?.mtime ?? started),
    preset: presetOf(config),
    parameters: start?.parameters ?? null,
    corpus: data.name,
    corpusSha256: data.sha256,
    vocabSize: start?.vocabSize ?? null,
    step,
    steps: config.train.steps,
    best:
      best === undefined
        ? null
        : {
            step: best.step,
            valLoss: best.valLoss,
            natsPerCharacter: best.natsPerCharacter,
            bitsPerByte: best.bitsPerByte,
          },
    rising: isRising(evals),
    checkpoint: files.saved ? join(path, folderNames.checkpoint) : null,
    initFrom: data.initFrom?.path ?? null,
    config,
  };
  known?.set(path, { files, listed, noted });
  return listed;
};

/** A run, or why it is skipped: one damaged folder must not hide the others. Undefined if it is not a folder. */
const readOne = async (path: string, known?: KnownRuns): Promise<ListedRun | SkippedFolder | undefined> => {
  try {
    if (!(await findsFolder(path))) return undefined;
    if (!known?.has(path) && !(await readdir(path)).includes(folderNames.description)) {
      return { path, reason: `no run: it has no ${folderNames.description}` };
    }
    return await readListed(path, known);
  } catch (error) {
    const mine = error instanceof ForetokenError || systemErrorCode(error) !== undefined;
    if (!mine || !(error instanceof Error)) throw error;
    return { path, reason: error.message };
  }
};

/** So many folders are read at a time: while one waits for the disk, others are decoded. */
const atOnce = 8;

/** The paths in `folder` that may be runs: all but files and folders whose names begin with a dot, or the folder itself. */
const candidatesIn = async (folder: string): Promise<readonly string[]> => {
  const entries = await readdir(folder);
  if (entries.includes(folderNames.description)) return [folder];
  return entries.flatMap((name) => (name.startsWith(".") ? [] : [join(folder, name)])).sort();
};

/**
 * As `listRuns`, for a program that asks again and again.
 * @param known is kept from one call to the next, and brought up to date: calls with the same one must not overlap.
 */
export const readRuns = async (folder: string, known?: KnownRuns): Promise<RunList> => {
  const paths = await candidatesIn(folder);
  const found: (ListedRun | SkippedFolder | undefined)[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let at = next++; at < paths.length; at = next++) found[at] = await readOne(paths[at] as string, known);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  const there = new Set(paths);
  for (const path of known?.keys() ?? []) if (!there.has(path)) known?.delete(path);
  const runs: ListedRun[] = [];
  const skipped: SkippedFolder[] = [];
  for (const one of found) {
    if (one === undefined) continue;
    if ("reason" in one) skipped.push(one);
    else runs.push(one);
  }
  runs.sort((a, b) => (a.startedAt < b.startedAt ? 1 : a.startedAt > b.startedAt ? -1 : 0));
  return { runs, skipped };
};

/**
 * The runs in `folder`, which may also be a run's folder itself. Files and folders whose names begin with a dot are
 * ignored; other folders that are not runs, or damaged, are among the skipped. Nothing on disk is changed.
 * @throws CheckpointError if there is no such folder.
 * @example
 * ```ts
 * import { listRuns } from "foretoken";
 *
 * const { runs } = await listRuns("runs");
 * console.log(runs.map(({ name, best }) => [name, best?.valLoss]));
 * ```
 */
export const listRuns = async (folder: string): Promise<RunList> => {
  checkPath("listRuns: folder", folder);
  if (!(await findsFolder(folder))) {
    const found = await statsOf(folder);
    throw new CheckpointError({
      where: folder,
      must: "must be a folder of runs",
      got: found === undefined ? "no such folder" : "a file",
    });
  }
  return readRuns(folder);
};
