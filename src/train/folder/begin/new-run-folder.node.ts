import { readdir, stat, unlink } from "node:fs/promises";
import { join, normalize, resolve } from "node:path";
import { ConfigError, ForetokenError } from "../../../core/errors/errors.ts";
import { systemErrorCode } from "../../../core/errors/system-error.ts";
import { readRegularFile } from "../../../core/system/regular-file.node.ts";
import { quoteWord } from "../../../core/text/shell-word.ts";
import { textPieces } from "../../../data/corpora.node.ts";
import { lineOfDocument } from "../../../data/documents-json.ts";
import { locatedDocuments } from "../../../data/given-documents.ts";
import { makeFolders, removeEmptyFolders, replaceFile, temporaryOf } from "../../../io/files.node.ts";
import { type Lock, takeLock } from "../../../io/lock.node.ts";
import type { TrainEvent } from "../../events.ts";
import { descriptionText } from "../description.node.ts";
import { folderNames } from "../folder-names.ts";
import { type GivenData, keptNames } from "../run-schemas.ts";
import type { RunSubject } from "../write/checkpoint-files.node.ts";
import { openRunFolder, type RunFolder } from "../write/run-folder.node.ts";

/** Whether a run's description is empty: its process was killed, or the power failed, before it was on the disk. */
const isBlank = async (path: string): Promise<boolean> =>
  readRegularFile(path, { maxBytes: 2 ** 20 }).then(
    (bytes) => bytes.every((byte) => byte === 0),
    () => false,
  );

/** Files that a process may leave that was killed while it made a run's folder, and no others. */
const isLeftover = async (folder: string, entry: string): Promise<boolean> => {
  const { description, lock } = folderNames;
  const name = temporaryOf(entry) ?? entry;
  if (name === lock || name === `${lock}-taking`) return true;
  return name === description && (entry !== name || (await isBlank(join(folder, entry))));
};

/**
 * Fails unless `path` can become a run's folder: it is unused, or an empty folder.
 * @param out as the user gave it.
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

const reasons: Readonly<Record<string, string>> = {
  ENOTDIR: "a file above it",
  EEXIST: "a file",
  EACCES: "no permission",
  EPERM: "no permission",
  EROFS: "a disk that cannot be written to",
};

const unusable = (out: string, cause: unknown): ConfigError =>
  new ConfigError({
    where: `out ${out}`,
    must: "the folder must be one that can be made and written to",
    got: reasons[systemErrorCode(cause) ?? ""] ?? (cause instanceof Error ? cause.message : String(cause)),
    hint: "another folder",
    cause,
  });

/**
 * Fails unless `out` can become a run's folder: it is unused, or an empty folder.
 * @throws ConfigError when something is there or it cannot be read. Nothing is changed.
 */
export const checkFree = (out: string): Promise<void> =>
  checkEmpty(resolve(out), out).catch((error: unknown) => {
    throw error instanceof ForetokenError ? error : unusable(out, error);
  });

/** A folder of this process alone, with its lock. */
interface Reserved {
  /** As the user gave it, or with a number at its end. */
  readonly out: string;
  readonly path: string;
  readonly lock: Lock;
  /** Folders that were made for it. */
  readonly made: readonly string[];
}

const reserveAt = async (given: string): Promise<Reserved> => {
  // Resolved once: `new/..` is another folder before and after `new` exists.
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

/** @param isOwnChoice whether another name will do: `out` with a number, if it is taken. */
const reserve = async (out: string, isOwnChoice: boolean): Promise<Reserved> => {
  for (let i = 1; ; i++) {
    const name = i === 1 ? out : `${out}-${i}`;
    try {
      return await reserveAt(name);
    } catch (error) {
      const isTaken = error instanceof ForetokenError;
      if (isTaken && isOwnChoice && i < 100) continue;
      throw isTaken ? error : unusable(name, error);
    }
  }
};

/** A string's UTF-8, piece by piece. */
function* bytesOf(text: string): Generator<Uint8Array, void, undefined> {
  const encoder = new TextEncoder();
  for (const piece of textPieces(text)) yield encoder.encode(piece);
}

/** Documents in JSON, a line each. */
function* linesOf(documents: readonly unknown[]): Generator<Uint8Array, void, undefined> {
  const encoder = new TextEncoder();
  for (const { source } of locatedDocuments(documents, "documents"))
    yield encoder.encode(`${lineOfDocument(source)}\n`);
}

/** Keeps the texts that a run was given, byte by byte, or its documents: a resumed run needs them. */
const keepData = async (path: string, given: GivenData): Promise<void> => {
  const isDocuments = "documents" in given;
  const names = keptNames(isDocuments);
  await replaceFile(join(path, names.data), isDocuments ? linesOf(given.documents) : bytesOf(given.text));
  const held = isDocuments
    ? given.valDocuments && linesOf(given.valDocuments)
    : given.valText === undefined
      ? undefined
      : bytesOf(given.valText);
  if (held !== undefined) await replaceFile(join(path, names.valData), held);
};

/**
 * A new run's folder. The folder and its lock are made at once: two runs never share one, and a folder that cannot be
 * written to is an error before anything is computed. Its files are written once there is more to keep than the first
 * event: a run that fails before its first step is done, say without enough memory, leaves nothing behind.
 * @param out its path; a name of the program's own choice may get a number at its end.
 * @param given the data, if it lies in no file.
 * @param keep what else is to be kept in the folder.
 * @throws ConfigError when something is there by now, or the folder cannot be made.
 */
export const createRunFolder = async (
  out: string,
  isOwnChoice: boolean,
  subject: RunSubject,
  given?: GivenData,
  keep?: (run: { readonly root: string; readonly shown: string }) => Promise<void>,
): Promise<RunFolder> => {
  const reserved = await reserve(out, isOwnChoice);
  const { path, lock, made } = reserved;
  let opened: Promise<RunFolder> | undefined;
  let first: TrainEvent | undefined;
  const folder = (): Promise<RunFolder> => {
    opened ??= (async () => {
      await replaceFile(join(path, folderNames.description), descriptionText(subject));
      if (given !== undefined) await keepData(path, given);
      await keep?.({ root: path, shown: reserved.out });
      const run = await openRunFolder(reserved.out, subject, lock, true, path);
      if (first !== undefined) await run.record(first);
      return run;
    })();
    return opened;
  };
  return {
    path: reserved.out,
    record: async (event) => {
      if (event.type === "start") first = event;
      else await (await folder()).record(event);
    },
    saveCheckpoint: async (state) => (await folder()).saveCheckpoint(state),
    saveStart: async (state) => (await folder()).saveStart(state),
    saveBest: async (values, step) => (await folder()).saveBest(values, step),
    saveInNeed: async (state) => (await folder()).saveInNeed(state),
    saveRecord: async (name, chunks) => (await folder()).saveRecord(name, chunks),
    saveRollback: async (point) => (await folder()).saveRollback(point),
    readRollback: async () => (await folder()).readRollback(),
    close: async () => {
      // Whoever asked for the folder has got its error.
      const run = await opened?.catch(() => undefined);
      if (run !== undefined) {
        await run.close();
        return;
      }
      await lock.release();
      // A process that was killed here before may have left files, too.
      for (const entry of await readdir(path)) {
        if (await isLeftover(path, entry)) await unlink(join(path, entry)).catch(() => undefined);
      }
      await removeEmptyFolders(made);
    },
  };
};
