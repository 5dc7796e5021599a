/** The folder of a sweep: its plan, its texts, its runs and its result. */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { isRecord } from "../core/checks/is-record.ts";
import { jsonLimits, parseJson } from "../core/checks/json.ts";
import { CheckpointError, ConfigError, DataError } from "../core/errors/errors.ts";
import { systemErrorCode } from "../core/errors/system-error.ts";
import { readRegularFile } from "../core/system/regular-file.node.ts";
import { quoteWord } from "../core/text/shell-word.ts";
import { loadCorpus } from "../data/corpora.node.ts";
import { splitText } from "../data/corpus.ts";
import { hasDocuments } from "../data/documents.node.ts";
import { replaceFile } from "../io/files.node.ts";
import { type Lock, takeLock } from "../io/lock.node.ts";
import { temporaryOf } from "../io/temporary-names.node.ts";
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

export const writeJson = (path: string, value: unknown): Promise<void> =>
  replaceFile(path, `${JSON.stringify(value, null, 2)}\n`);

/** A sweep as its folder knows it again: everything that its result depends on. */
interface KnownSweep {
  readonly sweep: Omit<ParsedSweep, "$schema" | "data">;
  readonly sha256: string;
}

/** @throws ConfigError for a folder of another sweep, or one that holds other files. */
const checkFolder = async (path: string, wanted: KnownSweep): Promise<"new" | "known"> => {
  const found = await readJsonIfThere(join(path, sweepNames.plan));
  if (found === undefined) {
    // What a process leaves that is killed before it has written the plan.
    const [other] = (await readdir(path)).filter((name) => name !== sweepNames.lock && temporaryOf(name) === undefined);
    if (other === undefined) return "new";
    throw new ConfigError({
      where: `sweep: ${path}`,
      must: "the folder must be new, empty or that of this sweep",
      got: `one with ${other}`,
      hint: "another folder",
    });
  }
  const known = JSON.parse(JSON.stringify(wanted)) as Readonly<Record<string, unknown>>;
  if (JSON.stringify(found) === JSON.stringify(known)) return "known";
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
    got: `another ${changed ?? "text (its SHA-256 differs)"}`,
    hint: `another folder, or ${quoteWord(join(path, sweepNames.plan))} to see what it was`,
  });
};

/** Writes a text unless it is there. */
const keepText = async (path: string, text: string): Promise<void> => {
  const there = await readRegularFile(path, { maxBytes: Number.MAX_SAFE_INTEGER }).catch(() => undefined);
  if (there === undefined || new TextDecoder("utf-8", { ignoreBOM: true }).decode(there) !== text)
    await replaceFile(path, text);
};

/**
 * Opens the folder of a sweep, a new one or that of the same sweep, and takes its lock.
 * @param data the place of its text.
 * @throws ConfigError for another folder, or one in which another process works; DataError for a text that cannot be used.
 */
export const openSweepFolder = async (path: string, data: string, sweep: ParsedSweep): Promise<SweepFolder> => {
  if (await hasDocuments(data)) {
    throw new DataError({
      where: data,
      must: "a sweep's data must be a text",
      got: "documents (.jsonl)",
      hint: "a run of each setting and seed, and compare --group",
    });
  }
  const corpus = await loadCorpus(data);
  const { train: begun, val: heldOut } = splitText(corpus.train + corpus.val, sweep.heldOut);
  const { train, val: choose } = splitText(begun, sweep.choose / (1 - sweep.heldOut));
  await mkdir(path, { recursive: true });
  const lock = await takeLock(join(path, sweepNames.lock), `sweep: ${path}`);
  try {
    // The text is known by its hash, wherever it lies.
    const { $schema: _, data: __, ...known } = sweep;
    const wanted = { sweep: known, sha256: corpus.sha256 };
    const kind = await checkFolder(path, wanted);
    if (kind === "new") await writeJson(join(path, sweepNames.plan), wanted);
    await mkdir(join(path, sweepNames.texts), { recursive: true });
    await mkdir(join(path, sweepNames.runs), { recursive: true });
    const texts = { train, choose, heldOut };
    const places = Object.fromEntries(
      Object.keys(texts).map((name) => [
        name,
        join(path, sweepNames.texts, `${name === "heldOut" ? "held-out" : name}.txt`),
      ]),
    ) as Record<keyof typeof texts, string>;
    for (const [name, text] of Object.entries(texts)) await keepText(places[name as keyof typeof texts], text);
    return { path, texts: { ...places, name: corpus.name, notice: corpus.notice }, lock };
  } catch (error) {
    await lock.release();
    throw error;
  }
};
