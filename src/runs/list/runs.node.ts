import { readdir, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import type { RunConfig } from "../../config/config.ts";
import { presetOf } from "../../config/preset-of.ts";
import type { PresetName } from "../../config/presets.ts";
import { checkPath } from "../../core/checks/check-arguments.ts";
import { CheckpointError, ForetokenError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { oneLine, shorten } from "../../core/text/one-line.ts";
import { hasCheckpoint } from "../../io/checkpoint-place.node.ts";
import { parseLine } from "../../io/json-line.ts";
import { readWholeLines } from "../../io/jsonl.node.ts";
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

/**
 * How a run ended. `failed`: with an error. `unfinished`: the run is still in progress, or its process was killed. The
 * folder does not show which of the two.
 */
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

/** A run, as described by its folder. */
export interface ListedRun {
  /** Name of the folder. */
  readonly name: string;
  /** Path of the folder. */
  readonly path: string;
  /** How the run ended. */
  readonly state: RunState;
  /** The error that ended a `failed` run, in one line. Null for other runs. */
  readonly failure: string | null;
  /** Time when the folder was made, in ISO 8601, from a file in the folder. */
  readonly startedAt: string;
  /** Time of the last logged event, in ISO 8601. */
  readonly updatedAt: string;
  /** The preset. Steps, seed and intervals may differ from the preset. Null if another field differs. */
  readonly preset: PresetName | null;
  /** Null if no event is logged yet. */
  readonly parameters: number | null;
  /** Name of the text. */
  readonly corpus: string;
  /**
   * SHA-256 of the text and of the position at which it is split. Losses of two runs are comparable if these hashes are
   * equal.
   */
  readonly corpusSha256: string;
  /** Number of tokens in the vocabulary; null if no event is logged yet. */
  readonly vocabSize: number | null;
  /** Updates done. */
  readonly step: number;
  /** Updates planned. */
  readonly steps: number;
  /** The best evaluation: the lowest validation loss with kept weights. Null before the first evaluation. */
  readonly best: RunLoss | null;
  /** Whether the validation loss was rising at the last evaluation. If true, more steps would not help. */
  readonly rising: boolean;
  /** The directory to pass to other commands; null if nothing is saved yet. */
  readonly checkpoint: string | null;
  /** The checkpoint with the run's initial weights. Null if the weights were drawn at random. */
  readonly initFrom: string | null;
  /** Its configuration. */
  readonly config: RunConfig;
}

/** A folder that is not a run, or that cannot be read. */
export interface SkippedFolder {
  /** Its path. */
  readonly path: string;
  /** Why the folder is not a run, in one line. */
  readonly reason: string;
}

/** Result of `listRuns`. */
export interface RunList {
  /** Newest first. */
  readonly runs: readonly ListedRun[];
  /** Folders that are not runs. */
  readonly skipped: readonly SkippedFolder[];
}

interface Noted {
  /** Planned number of steps. */
  readonly steps: number;
  /** Number of bytes read so far, up to the end of a line. */
  end: number;
  start: NotedStart | undefined;
  step: number;
  readonly evals: NotedEval[];
  /**
   * How the run ended. A run that was saved after its last evaluation counts as ended, even if it has no `done` event.
   */
  ended: NotedDone["reason"] | "failed" | undefined;
  /** The error of a failed run. */
  failure: string | null;
}

const take = (noted: Noted, event: NotedEvent): void => {
  // Events after `done` come from a resumed run.
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
      // A run may have ended before it was extended. An end at a step below `steps` does not count.
      if (noted.evals.at(-1)?.reason === "end" && event.step >= noted.steps) noted.ended = "finished";
      break;
    case "step":
    case "sample":
      break;
  }
  noted.step = Math.max(noted.step, event.step);
};

/** Maximum number of characters of an error that the list shows. */
const mostOfError = 280;

/**
 * Beginning of a line with a `step` event. Nearly all lines begin like this, and only the last `step` event matters.
 */
const stepLine = '{"v":1,"type":"step",';

/**
 * Reads an event log. Damaged lines are skipped. An incomplete line at the end is not read yet: a process is still
 * writing it, or the process was killed.
 * @param before the result of an earlier call, when the log was shorter.
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
        // If this line is incomplete, the previous line is the last complete line.
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

/**
 * Facts about a file that show whether the file has changed. The type is not Node's own type, because public types must
 * not use Node's types.
 */
interface FileFacts {
  readonly dev: number;
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
  readonly mtime: Date;
}

const statsOf = async (path: string): Promise<FileFacts | undefined> => stat(path).catch(() => undefined);

/** The files that the list reads to describe a run. */
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

/** A run that an earlier call has read. */
interface KnownRun {
  readonly files: RunFiles;
  readonly listed: ListedRun;
  readonly noted: Noted;
}

/** Runs from earlier calls, by path. Files that have not changed are not read again. */
export type KnownRuns = Map<string, KnownRun>;

/** Maximum distance of a JavaScript date from 1970, in milliseconds. */
const furthest = 8.64e15;

/** A file's time as text. A JavaScript date cannot represent every file time. */
const isoTime = (time: Date): string =>
  new Date(Number.isNaN(time.getTime()) ? furthest : time.getTime()).toISOString();

const readListed = async (path: string, known: KnownRuns | undefined): Promise<ListedRun> => {
  // Read these facts before the contents of the files, so that a write during reading counts as a change.
  const files = await filesOf(path);
  const before = known?.get(path);
  const isSameRun = before !== undefined && isUnchanged(before.files.description, files.description);
  if (isSameRun && isUnchanged(before.files.metrics, files.metrics) && before.files.saved === files.saved) {
    return before.listed;
  }
  // A resumed run replaces its log by a shorter log. In all other cases, a log only grows.
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

/**
 * Reads a run. For a damaged folder, returns the reason to skip the folder, so that other runs are still listed.
 * Returns undefined if the path is not a folder.
 */
const readOne = async (path: string, known?: KnownRuns): Promise<ListedRun | SkippedFolder | undefined> => {
  try {
    if (!(await findsFolder(path))) return undefined;
    if (!known?.has(path) && !(await readdir(path)).includes(folderNames.description)) {
      return { path, reason: `not a run: it has no ${folderNames.description}` };
    }
    return await readListed(path, known);
  } catch (error) {
    const mine = error instanceof ForetokenError || systemErrorCode(error) !== undefined;
    if (!mine || !(error instanceof Error)) throw error;
    return { path, reason: error.message };
  }
};

/**
 * Number of folders that are read at the same time. While one folder waits for the disk, the program decodes other
 * folders.
 */
const atOnce = 8;

/** Paths in `folder` that may be runs: all entries with names that do not begin with a dot, or the folder itself. */
const candidatesIn = async (folder: string): Promise<readonly string[]> => {
  const entries = await readdir(folder);
  if (entries.includes(folderNames.description)) return [folder];
  return entries.flatMap((name) => (name.startsWith(".") ? [] : [join(folder, name)])).sort();
};

/**
 * The same as `listRuns`, for a program that lists the runs repeatedly.
 * @param known the caller keeps this object between calls, and this function updates it. Calls with the same object
 * must not overlap.
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
 * Lists the runs in `folder`. `folder` may also be the folder of a single run. Entries with names that begin with a dot
 * are ignored. Folders that are damaged or are not runs are listed in `skipped`. Nothing on disk is changed.
 * @throws CheckpointError if the folder does not exist.
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
