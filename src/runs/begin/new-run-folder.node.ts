import { readdir, stat, unlink } from "node:fs/promises";
import { join, normalize, resolve } from "node:path";
import { ConfigError, ForetokenError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { readRegularFile } from "../../core/system/regular-file.node.ts";
import { quoteWord } from "../../core/text/shell-word.ts";
import { textPieces } from "../../data/corpora.node.ts";
import { lineOfDocument } from "../../data/documents-json.ts";
import { locatedDocuments } from "../../data/given-documents.ts";
import { identityOf } from "../../io/checkpoint-place.node.ts";
import { type Contents, makeFolders, removeEmptyFolders, replaceFile } from "../../io/files.node.ts";
import { type Lock, takeLock } from "../../io/lock.node.ts";
import { occupantOf } from "../../io/owned-folder.node.ts";
import { temporaryOf } from "../../io/temporary-names.node.ts";
import { descriptionText } from "../description.ts";
import type { TrainEvent } from "../events.ts";
import { folderNames } from "../folder-names.ts";
import { type GivenData, keptNames } from "../run-schemas.ts";
import type { RunSubject } from "../write/checkpoint-files.node.ts";
import { openRunFolder, type RunFolder } from "../write/run-folder.node.ts";
import { removeBegun } from "./begun-files.node.ts";
import { unwritable } from "./unwritable.node.ts";

/**
 * Whether a run's description is empty. The description is empty if the process was killed, or the power failed, before
 * the description was on disk.
 */
const isBlank = async (path: string): Promise<boolean> =>
  readRegularFile(path, { maxBytes: 2 ** 20 }).then(
    (bytes) => bytes.every((byte) => byte === 0),
    () => false,
  );

/** Whether a killed process left this entry while it created a run's folder. */
const isLeftover = async (folder: string, entry: string): Promise<boolean> => {
  const { description, lock } = folderNames;
  const name = temporaryOf(entry) ?? entry;
  if (name === lock || name === `${lock}-taking`) return true;
  return name === description && (entry !== name || (await isBlank(join(folder, entry))));
};

/**
 * Checks that `path` can become a run's folder: it does not exist, or is an empty folder.
 * @param out the path as the user gave it.
 */
const checkEmpty = async (path: string, out: string): Promise<void> => {
  const found = await stat(path).catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) return;
  const entries = found.isDirectory() ? await readdir(path) : undefined;
  let other: string | undefined;
  for (const entry of entries ?? []) if (!(await isLeftover(path, entry))) other ??= entry;
  if (entries !== undefined && other === undefined) return;
  const isRun = entries?.includes(folderNames.description) === true;
  throw new ConfigError({
    where: `out ${out}`,
    must: "the folder must be new or empty",
    got: entries === undefined ? "a file" : isRun ? "a run" : "a folder with other files",
    hint: isRun ? `another folder, or resume ${quoteWord(out)}` : "another folder",
  });
};

/**
 * Checks that `out` can become a run's folder: it does not exist, or is an empty folder. Changes nothing.
 * @throws ConfigError if the path contains something or cannot be read.
 */
export const checkFree = (out: string): Promise<void> =>
  checkEmpty(resolve(out), out).catch(async (error: unknown) => {
    throw error instanceof ForetokenError ? error : await unwritable(out, resolve(out), error);
  });

/** A folder that this process has locked for its run. */
interface Reserved {
  /** The path as the user gave it, perhaps with a number at its end. */
  readonly out: string;
  readonly path: string;
  readonly lock: Lock;
  /** Folders that this process created for the run. */
  readonly made: readonly string[];
}

const reserveAt = async (given: string): Promise<Reserved> => {
  // Resolve the path only once, because `new/..` means another folder after `new` exists.
  const path = resolve(given);
  const out = normalize(given);
  const made = await makeFolders(path);
  try {
    const lock = await takeLock(join(path, folderNames.lock), `out ${out}`);
    try {
      await checkEmpty(path, out);
    } catch (error) {
      await lock.release();
      throw error;
    }
    return { out, path, lock, made };
  } catch (error) {
    await removeEmptyFolders(made);
    throw error;
  }
};

/** @param isOwnChoice whether the program chose the name. If this name is taken, a number is added to `out`. */
const reserve = async (out: string, isOwnChoice: boolean): Promise<Reserved> => {
  for (let i = 1; ; i++) {
    const name = i === 1 ? out : `${out}-${i}`;
    try {
      return await reserveAt(name);
    } catch (error) {
      const isTaken = error instanceof ForetokenError;
      if (isTaken && isOwnChoice && i < 100) continue;
      throw isTaken ? error : await unwritable(name, resolve(name), error);
    }
  }
};

/** Encodes a string as UTF-8, in pieces. */
function* bytesOf(text: string): Generator<Uint8Array, void, undefined> {
  const encoder = new TextEncoder();
  for (const piece of textPieces(text)) yield encoder.encode(piece);
}

/** Encodes documents as JSON, one per line. */
function* linesOf(documents: readonly unknown[]): Generator<Uint8Array, void, undefined> {
  const encoder = new TextEncoder();
  for (const { source } of locatedDocuments(documents, "documents"))
    yield encoder.encode(`${lineOfDocument(source)}\n`);
}

/** Names and contents of the files that store given data: the exact bytes of the texts, or the documents. */
function* keptData(given: GivenData): Generator<readonly [name: string, contents: Contents], void, undefined> {
  const isDocuments = "documents" in given;
  const names = keptNames(isDocuments);
  yield [names.data, isDocuments ? linesOf(given.documents) : bytesOf(given.text)];
  if (isDocuments && given.valDocuments !== undefined) yield [names.valData, linesOf(given.valDocuments)];
  if (!isDocuments && given.valText !== undefined) yield [names.valData, bytesOf(given.valText)];
}

/** Removes files that a killed process left in the folder. */
const removeLeftovers = async (folder: string): Promise<void> => {
  for (const entry of await readdir(folder)) {
    const isLock = entry === folderNames.lock;
    if (!isLock && (await isLeftover(folder, entry))) await unlink(join(folder, entry)).catch(() => undefined);
  }
};

/**
 * Creates a new run's folder. The folder and its lock are made at once, so two runs never share a folder. If the folder
 * cannot be written, the function throws before anything is computed. The other files are written later, with the first
 * result that must be kept. So a run leaves no files behind if it fails before its first step is done (for example
 * without enough memory), or if its first files cannot be written (for example on a full disk).
 * @param out path of the folder. If the program chose the name, it may get a number at its end.
 * @param given the data, if it is not in a file.
 * @param keepMore writes further files into the folder.
 * @throws ConfigError if another process has created something at this path, or if the folder or its first files cannot
 * be made.
 */
export const createRunFolder = async (
  out: string,
  isOwnChoice: boolean,
  subject: RunSubject,
  given?: GivenData,
  keepMore?: (run: { readonly root: string; readonly shown: string }) => Promise<void>,
): Promise<RunFolder> => {
  const reserved = await reserve(out, isOwnChoice);
  const { path, lock, made } = reserved;
  const identity = await identityOf(path);
  const written: string[] = [];
  let opened: Promise<RunFolder> | undefined;
  let first: TrainEvent | undefined;
  /** Whether the run has started and all its first files are written. If true, the files stay, even after an error. */
  let hasBegun = false;
  let hasFailed = false;

  const open = async (): Promise<RunFolder> => {
    const { description } = folderNames;
    for (const [name, contents] of [
      [description, descriptionText(subject)] as const,
      ...(given ? keptData(given) : []),
    ]) {
      const file = join(path, name);
      // Note the name before the file is written, because an error may come after the file was created.
      if ((await occupantOf(file)) === "nothing") written.push(name);
      await replaceFile(file, contents);
    }
    await keepMore?.({ root: path, shown: reserved.out });
    const run = await openRunFolder(reserved.out, subject, lock, true, path);
    if (first === undefined) return run;
    return run.record(first).then(
      () => run,
      async (error: unknown) => {
        await run.close().catch(() => undefined);
        throw error;
      },
    );
  };
  /** Executes `work` in the folder. The first call writes the folder's files. */
  const within = async <T>(work: (run: RunFolder) => Promise<T>): Promise<T> => {
    try {
      opened ??= open();
      return await work(await opened);
    } catch (error) {
      if (hasBegun) throw error;
      hasFailed = true;
      throw await unwritable(reserved.out, path, error);
    }
  };
  /** The same as `within`, for work with results that must be kept: a checkpoint, or the events of steps. */
  const keep = <T>(work: (run: RunFolder) => Promise<T>): Promise<T> =>
    within((run) => {
      hasBegun = true;
      return work(run);
    });
  /** Whether the folder and its lock still belong to this process. */
  const isOurs = async (): Promise<boolean> =>
    identity !== undefined && (await identityOf(path)) === identity && !(await lock.isTaken());

  return {
    path: reserved.out,
    record: async (event) => {
      if (event.type === "start") first = event;
      else await (event.step > 0 ? keep : within)((run) => run.record(event));
    },
    async *notes() {
      yield* await within(async (run) => run.notes());
    },
    saveCheckpoint: (state) => keep((run) => run.saveCheckpoint(state)),
    saveStart: (state) => within((run) => run.saveStart(state)),
    saveBest: (values, step) => within((run) => run.saveBest(values, step)),
    saveAveraged: (values, step) => within((run) => run.saveAveraged(values, step)),
    saveInNeed: (state) => within((run) => run.saveInNeed(state)),
    saveRecord: (name, chunks) => within((run) => run.saveRecord(name, chunks)),
    saveRollback: (point) => within((run) => run.saveRollback(point)),
    readRollback: () => within((run) => run.readRollback()),
    // A folder without its files does not describe a run, so the error is not recorded.
    noteFailure: async (error) => {
      if (!hasFailed) await (await opened?.catch(() => undefined))?.noteFailure(error);
    },
    close: async () => {
      // The caller that needed the folder already got the error when it opened the folder.
      const run = await opened?.catch(() => undefined);
      try {
        await run?.close();
      } finally {
        const isLeft = run !== undefined && !hasFailed;
        if (!isLeft && (await isOurs().catch(() => false))) {
          await removeBegun(path, written).catch(() => undefined);
          await removeLeftovers(path).catch(() => undefined);
        }
        await lock.release();
        if (!isLeft) await removeEmptyFolders(made);
      }
    },
  };
};
