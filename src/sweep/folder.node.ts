/** The folder of a sweep: its plan, its texts, its runs and its result. */
import { mkdir, readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isRecord } from "../core/checks/is-record.ts";
import { jsonLimits, parseJson } from "../core/checks/json.ts";
import { CheckpointError, ConfigError, DataError, ForetokenError } from "../core/errors/errors.ts";
import { systemErrorCode } from "../core/errors/system-error.ts";
import { readRegularFile } from "../core/system/regular-file.node.ts";
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
  result: "result.json",
  winner: "winner.json",
  texts: "texts",
  runs: "runs",
  lock: ".lock",
} as const;

/** Its texts, as paths. */
export interface SweepTexts {
  readonly train: string;
  readonly choose: string;
  readonly heldOut: string;
  /** Name of the text that they are parts of. */
  readonly name: string;
  readonly notice: string | undefined;
}

/** An opened folder. */
export interface SweepFolder {
  readonly path: string;
  readonly texts: SweepTexts;
  readonly lock: Lock;
}

/** A file's JSON; undefined if there is none. @throws CheckpointError for other contents. */
export const readJsonIfThere = async (path: string): Promise<unknown> => {
  let bytes: Uint8Array;
  try {
    bytes = await readRegularFile(path, jsonLimits.config);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  return parseJson(bytes, jsonLimits.config, (fault) => new CheckpointError({ where: path, ...fault }));
};

/** The JSON of a file that can be made again from the runs; undefined if there is none, or if it is damaged. */
export const readDerived = (path: string): Promise<unknown> =>
  readJsonIfThere(path).catch((error: unknown) => {
    if (error instanceof CheckpointError) return undefined;
    throw error;
  });

export const writeJson = (path: string, value: unknown): Promise<void> =>
  replaceFile(path, `${JSON.stringify(value, null, 2)}\n`);

/** A sweep as its folder knows it again: everything that its result depends on. */
interface KnownSweep {
  readonly sweep: Omit<ParsedSweep, "$schema" | "data">;
  readonly sha256: string;
}

/** Names in a folder; of none, if it is not there. */
const namesIn = (path: string): Promise<readonly string[]> =>
  readdir(path).catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  });

/** Whether a sweep has trained: there is a run, or what follows from runs. */
const hasTrained = async (path: string): Promise<boolean> => {
  const names = await namesIn(path);
  const derived = [sweepNames.times, sweepNames.result, sweepNames.winner];
  return derived.some((name) => names.includes(name)) || (await namesIn(join(path, sweepNames.runs))).length > 0;
};

/** @throws CheckpointError for a plan that is damaged, if there are runs that it is of. */
const readPlan = async (path: string): Promise<unknown> => {
  const plan = join(path, sweepNames.plan);
  try {
    return await readJsonIfThere(plan);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    if (!(await hasTrained(path))) return null;
    throw new CheckpointError({
      ...error.details,
      hint: "another folder, or a copy of this file: it says what the runs are of",
      cause: error,
    });
  }
};

/** @throws ConfigError for a folder of another sweep that has runs, or one that holds other files. */
const checkFolder = async (path: string, wanted: KnownSweep): Promise<"new" | "known"> => {
  const refuse = (got: string): ConfigError =>
    new ConfigError({
      where: `sweep: ${path}`,
      must: "the folder must be new, empty or that of this sweep",
      got,
      hint: "another folder",
    });
  const place = await stat(path).catch(() => undefined);
  if (place?.isDirectory() === false) throw refuse("a file");
  const found = await readPlan(path);
  if (found === undefined) {
    // What a process leaves that is killed before it has written the plan.
    const [other] = (await namesIn(path)).filter((name) => name !== sweepNames.lock && temporaryOf(name) === undefined);
    if (other === undefined) return "new";
    throw refuse(`one with ${other}`);
  }
  const known = JSON.parse(JSON.stringify(wanted)) as Readonly<Record<string, unknown>>;
  if (JSON.stringify(found) === JSON.stringify(known)) return "known";
  if (!(await hasTrained(path))) return "new";
  const [own, before] = [known.sweep, isRecord(found) ? found.sweep : undefined];
  const keys = isRecord(own) && isRecord(before) ? [...new Set([...Object.keys(own), ...Object.keys(before)])] : [];
  const changed = keys.find(
    (key) =>
      JSON.stringify((own as Record<string, unknown>)[key]) !==
      JSON.stringify((before as Record<string, unknown>)[key]),
  );
  throw new ConfigError({
    where: `sweep: ${path}`,
    must: "a sweep that goes on must be the one that was begun",
    got: changed === undefined ? "another text (its SHA-256 differs)" : `another value of ${changed}`,
    hint: `another folder, or ${quoteWord(join(path, sweepNames.plan))} to see what it was`,
  });
};

/** Writes a text unless it is there. */
const keepText = async (path: string, text: string): Promise<void> => {
  const there = await readRegularFile(path, { maxBytes: Number.MAX_SAFE_INTEGER }).catch(() => undefined);
  if (there === undefined || new TextDecoder("utf-8", { ignoreBOM: true }).decode(there) !== text)
    await replaceFile(path, text);
};

/** The text of a sweep, in its parts. */
export interface SplitTexts {
  readonly train: string;
  readonly choose: string;
  readonly heldOut: string;
  readonly name: string;
  readonly notice: string | undefined;
  readonly sha256: string;
}

/** @throws DataError for a text that cannot be used. */
export const readSweepTexts = async ({ data, ...sweep }: ParsedSweep): Promise<SplitTexts> => {
  if (await hasDocuments(data)) {
    throw new DataError({
      where: data,
      must: "a sweep's data must be a text",
      got: "documents (.jsonl)",
      hint: "a run of each setting and seed, and compare --group",
    });
  }
  const { name, notice, sha256, ...corpus } = await loadCorpus(data);
  const { train: begun, val: heldOut } = splitText(corpus.train + corpus.val, sweep.heldOut);
  const { train, val: choose } = splitText(begun, sweep.choose / (1 - sweep.heldOut));
  return { train, choose, heldOut, name, notice, sha256 };
};

/** The text is known by its hash, wherever it lies. */
const knownSweep = ({ $schema: _, data: __, ...sweep }: ParsedSweep, { sha256 }: SplitTexts): KnownSweep => ({
  sweep,
  sha256,
});

/** `work`, with an error of the system in words about the folder. */
const inFolder = async <Done>(path: string, work: () => Promise<Done>): Promise<Done> => {
  try {
    return await work();
  } catch (error) {
    throw error instanceof ForetokenError ? error : await unwritable(path, resolve(path), error);
  }
};

/**
 * Whether the folder is new to this sweep, or its own. Nothing is written.
 * @throws ConfigError for another folder.
 */
export const findSweepFolder = (path: string, sweep: ParsedSweep, texts: SplitTexts): Promise<"new" | "known"> =>
  inFolder(path, () => checkFolder(path, knownSweep(sweep, texts)));

const openFolder = async (path: string, sweep: ParsedSweep, split: SplitTexts): Promise<SweepFolder> => {
  await mkdir(path, { recursive: true });
  const lock = await takeLock(join(path, sweepNames.lock), `sweep: ${path}`);
  try {
    const wanted = knownSweep(sweep, split);
    const kind = await checkFolder(path, wanted);
    if (kind === "new") await writeJson(join(path, sweepNames.plan), wanted);
    await mkdir(join(path, sweepNames.texts), { recursive: true });
    await mkdir(join(path, sweepNames.runs), { recursive: true });
    const place = (name: string): string => join(path, sweepNames.texts, `${name}.txt`);
    const places = { train: place("train"), choose: place("choose"), heldOut: place("held-out") };
    for (const name of ["train", "choose", "heldOut"] as const) await keepText(places[name], split[name]);
    return { path, texts: { ...places, name: split.name, notice: split.notice }, lock };
  } catch (error) {
    await lock.release();
    throw error;
  }
};

/**
 * Opens the folder of a sweep, a new one or that of the same sweep, and takes its lock.
 * @throws ConfigError for another folder, or one in which another process works.
 */
export const openSweepFolder = (path: string, sweep: ParsedSweep, texts: SplitTexts): Promise<SweepFolder> =>
  inFolder(path, () => openFolder(path, sweep, texts));
