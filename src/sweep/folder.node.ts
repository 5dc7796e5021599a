/** Reads and writes a sweep's folder: its plan, texts, runs and result. */
import { mkdir, readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isRecord } from "../core/checks/is-record.ts";
import { jsonLimits, parseJson } from "../core/checks/json.ts";
import { CheckpointError, ConfigError, DataError, ForetokenError } from "../core/errors/errors.ts";
import { systemErrorCode } from "../core/errors/system-error.ts";
import { readRegularFile, UnreadableFileError } from "../core/system/regular-file.node.ts";
import { quoteWord } from "../core/text/shell-word.ts";
import { loadCorpus } from "../data/corpora.node.ts";
import { splitText } from "../data/corpus.ts";
import { hasDocuments } from "../data/documents.node.ts";
import { replaceFile } from "../io/files.node.ts";
import { type Lock, takeLock } from "../io/lock.node.ts";
import { temporaryOf } from "../io/temporary-names.node.ts";
import { unwritable } from "../runs/begin/unwritable.node.ts";
import type { ParsedSweep } from "./sweep-config.ts";

/** Names in a sweep's folder. */
export const sweepNames = {
  plan: "sweep.json",
  times: "times.json",
  progress: "progress.json",
  result: "result.json",
  winner: "winner.json",
  texts: "texts",
  runs: "runs",
  lock: ".lock",
} as const;

/** Paths of the texts. */
export interface SweepTexts {
  readonly train: string;
  readonly choose: string;
  readonly heldOut: string;
  /** Name of the whole text. */
  readonly name: string;
  readonly notice: string | undefined;
}

/** An opened folder. */
export interface SweepFolder {
  readonly path: string;
  readonly texts: SweepTexts;
  /** Hashes of the teachers. */
  readonly teachers: readonly string[];
  readonly lock: Lock;
}

/** Reads a JSON file; undefined if there is none. @throws CheckpointError if the path is no file, or is not JSON. */
export const readJsonIfThere = async (path: string): Promise<unknown> => {
  let bytes: Uint8Array;
  try {
    bytes = await readRegularFile(path, jsonLimits.config);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    if (!(error instanceof UnreadableFileError)) throw error;
    const { must, got } = error;
    throw new CheckpointError({ where: path, must, got, hint: "moving it away", cause: error });
  }
  return parseJson(bytes, jsonLimits.config, (fault) => new CheckpointError({ where: path, ...fault }));
};

/** Whether a file is not JSON, so that it can be replaced. */
const isDamage = (error: unknown): error is CheckpointError =>
  error instanceof CheckpointError && !(error.cause instanceof UnreadableFileError);

/**
 * Reads a JSON file that can be made again from the runs; undefined if it is missing or damaged.
 * @throws CheckpointError if the path is no file.
 */
export const readDerived = (path: string): Promise<unknown> =>
  readJsonIfThere(path).catch((error: unknown) => {
    if (isDamage(error)) return undefined;
    throw error;
  });

export const writeJson = (path: string, value: unknown): Promise<void> =>
  replaceFile(path, `${JSON.stringify(value, null, 2)}\n`);

/** Everything that a sweep's result depends on. The sweep's folder contains a copy, which identifies the sweep. */
interface KnownSweep {
  readonly sweep: Omit<ParsedSweep, "$schema" | "data" | "teacher">;
  readonly sha256: string;
  /** The teachers' hashes; absent without teachers. */
  readonly teachers?: readonly string[];
}

/** Names in a folder; empty if the folder does not exist. */
const namesIn = (path: string): Promise<readonly string[]> =>
  readdir(path).catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  });

/** Whether the sweep has begun training: there is a run, or a file made from runs. */
const hasTrained = async (path: string): Promise<boolean> => {
  const names = await namesIn(path);
  const derived = [sweepNames.times, sweepNames.result, sweepNames.winner];
  return derived.some((name) => names.includes(name)) || (await namesIn(join(path, sweepNames.runs))).length > 0;
};

/** @throws CheckpointError for a damaged plan if the folder has runs. */
const readPlan = async (path: string): Promise<unknown> => {
  const plan = join(path, sweepNames.plan);
  try {
    return await readJsonIfThere(plan);
  } catch (error) {
    if (!isDamage(error)) throw error;
    if (!(await hasTrained(path))) return null;
    throw new CheckpointError({
      ...error.details,
      hint: "another folder, or restoring a copy of this file, which describes the runs",
      cause: error,
    });
  }
};

/** @throws ConfigError if the folder has runs of another sweep, or other files. */
const checkFolder = async (path: string, wanted: KnownSweep): Promise<"new" | "known"> => {
  const refuse = (got: string): ConfigError =>
    new ConfigError({
      where: `sweep: ${path}`,
      must: "the folder must be new, empty or the folder of this sweep",
      got,
      hint: "another folder",
    });
  const place = await stat(path).catch(() => undefined);
  if (place?.isDirectory() === false) throw refuse("a file");
  const found = await readPlan(path);
  if (found === undefined) {
    // Ignore files of a process that was killed before it wrote the plan.
    const [other] = (await namesIn(path)).filter((name) => name !== sweepNames.lock && temporaryOf(name) === undefined);
    if (other === undefined) return "new";
    throw refuse(`one with ${other}`);
  }
  const known = JSON.parse(JSON.stringify(wanted)) as Readonly<Record<string, unknown>>;
  if (JSON.stringify(found) === JSON.stringify(known)) return "known";
  if (!(await hasTrained(path))) return "new";
  const [own, before] = [known.sweep, isRecord(found) ? found.sweep : undefined];
  const keys = isRecord(own) && isRecord(before) ? [...new Set([...Object.keys(own), ...Object.keys(before)])] : [];
  const [ownTeachers, teachersBefore] = [known, found].map((one) =>
    JSON.stringify(isRecord(one) ? one.teachers : null),
  );
  const changed = keys.find(
    (key) =>
      JSON.stringify((own as Record<string, unknown>)[key]) !==
      JSON.stringify((before as Record<string, unknown>)[key]),
  );
  throw new ConfigError({
    where: `sweep: ${path}`,
    must: "the sweep to resume must be unchanged",
    got:
      changed !== undefined
        ? `another value of ${changed}`
        : ownTeachers === teachersBefore
          ? "another text (its SHA-256 differs)"
          : "another teacher (its SHA-256 differs)",
    hint: `another folder, or compare with ${quoteWord(join(path, sweepNames.plan))}`,
  });
};

/** Writes a text if the file does not already contain it. */
const keepText = async (path: string, text: string): Promise<void> => {
  const there = await readRegularFile(path, { maxBytes: Number.MAX_SAFE_INTEGER }).catch(() => undefined);
  if (there === undefined || new TextDecoder("utf-8", { ignoreBOM: true }).decode(there) !== text)
    await replaceFile(path, text);
};

/** The parts of a sweep's text. */
export interface SplitTexts {
  readonly train: string;
  readonly choose: string;
  readonly heldOut: string;
  readonly name: string;
  readonly notice: string | undefined;
  readonly sha256: string;
}

/** @throws DataError for an unusable text. */
export const readSweepTexts = async ({ data, ...sweep }: ParsedSweep): Promise<SplitTexts> => {
  if (await hasDocuments(data)) {
    throw new DataError({
      where: data,
      must: "the data of a sweep must be a text",
      got: "documents (.jsonl)",
      hint: "training one run for each setting and seed, then compare --group",
    });
  }
  const { name, notice, sha256, ...corpus } = await loadCorpus(data);
  const { train: begun, val: heldOut } = splitText(corpus.train + corpus.val, sweep.heldOut);
  const { train, val: choose } = splitText(begun, sweep.choose / (1 - sweep.heldOut));
  return { train, choose, heldOut, name, notice, sha256 };
};

/** What a sweep reads: its text, and the hashes of its teachers. */
export interface SweepSources {
  readonly split: SplitTexts;
  readonly teachers: readonly string[];
}

/** The text and the teachers are identified by their hashes, so their paths may change. */
const knownSweep = (
  { $schema: _, data: __, teacher: ___, ...sweep }: ParsedSweep,
  { split, teachers }: SweepSources,
): KnownSweep => ({ sweep, sha256: split.sha256, ...(teachers.length === 0 ? {} : { teachers }) });

/** Runs `work`; an error of the file system is reworded to name the folder. */
const inFolder = async <Done>(path: string, work: () => Promise<Done>): Promise<Done> => {
  try {
    return await work();
  } catch (error) {
    throw error instanceof ForetokenError ? error : await unwritable(path, resolve(path), error);
  }
};

/**
 * Whether the folder is new, or is already the folder of this sweep. Nothing is written.
 * @throws ConfigError for any other folder.
 */
export const findSweepFolder = (path: string, sweep: ParsedSweep, sources: SweepSources): Promise<"new" | "known"> =>
  inFolder(path, () => checkFolder(path, knownSweep(sweep, sources)));

const openFolder = async (path: string, sweep: ParsedSweep, sources: SweepSources): Promise<SweepFolder> => {
  const { split, teachers } = sources;
  await mkdir(path, { recursive: true });
  const lock = await takeLock(join(path, sweepNames.lock), `sweep: ${path}`);
  try {
    const wanted = knownSweep(sweep, sources);
    const kind = await checkFolder(path, wanted);
    if (kind === "new") await writeJson(join(path, sweepNames.plan), wanted);
    await mkdir(join(path, sweepNames.texts), { recursive: true });
    await mkdir(join(path, sweepNames.runs), { recursive: true });
    const place = (name: string): string => join(path, sweepNames.texts, `${name}.txt`);
    const places = { train: place("train"), choose: place("choose"), heldOut: place("held-out") };
    for (const name of ["train", "choose", "heldOut"] as const) await keepText(places[name], split[name]);
    return { path, texts: { ...places, name: split.name, notice: split.notice }, teachers, lock };
  } catch (error) {
    await lock.release();
    throw error;
  }
};

/**
 * Opens the folder of a new or existing sweep and takes the folder's lock.
 * @throws ConfigError if the folder is not the folder of this sweep, or if another process has the lock.
 */
export const openSweepFolder = (path: string, sweep: ParsedSweep, sources: SweepSources): Promise<SweepFolder> =>
  inFolder(path, () => openFolder(path, sweep, sources));
