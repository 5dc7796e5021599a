/** Files that a page keeps in the browser's private file system (OPFS), written together. */

import { isRecord } from "../core/checks/is-record.ts";
import { CheckpointError, ConfigError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import { type FileDigest, manifestJson, parseManifest } from "./manifest.ts";
import { hashInMemory } from "./manifest-in-memory.ts";

/**
 * Files that a page keeps, written together: after the end of the tab at any moment, they are the old or the new ones.
 * @experimental
 */
export interface FileStore {
  /**
   * The files by their paths; null: none are kept.
   * @throws CheckpointError for a file that is gone or damaged, or if the list of files is: nothing tells their paths then.
   */
  read(): Promise<Readonly<Record<string, Uint8Array>> | null>;
  /**
   * Keeps files in place of those before. A damaged list of those is set aside, as `index-set-aside.json`, and its files stay
   * until `clear`. @throws CheckpointError if there is no room: those before stay.
   */
  write(files: Readonly<Record<string, Uint8Array>>): Promise<void>;
  /** Removes all files. */
  clear(): Promise<void>;
  /** Lets another tab open the store. */
  close(): Promise<void>;
}

/**
 * The files of a store lie in one folder under their SHA-256, and `index.json` names them: the form of a checkpoint's
 * manifest. Writing goes in this order:
 *
 *     1. files that the index does not name yet are written
 *     2. the index is replaced: the browser does that at once, when the file is closed
 *     3. files that the new index does not name are removed
 */
type Index = Readonly<Record<string, FileDigest>>;

const indexName = "index.json";
/** A damaged index. While it is there, no file is removed that a later index has not named. */
const asideName = "index-set-aside.json";
const folderName = "foretoken";

const bytesAt = async (folder: FileSystemDirectoryHandle, name: string): Promise<Uint8Array | undefined> => {
  try {
    const file = await (await folder.getFileHandle(name)).getFile();
    return new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotFoundError") return undefined;
    throw error;
  }
};

const writeAt = async (folder: FileSystemDirectoryHandle, name: string, bytes: Uint8Array): Promise<void> => {
  const stream = await (await folder.getFileHandle(name, { create: true })).createWritable();
  try {
    // A copy if it is a view of shared memory, which a stream does not take.
    await stream.write(
      bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : Uint8Array.from(bytes),
    );
    await stream.close();
  } catch (error) {
    await stream.abort().catch(() => undefined);
    throw error;
  }
};

/** null: there is none yet. A damaged one is given as its bytes. */
const readIndex = async (folder: FileSystemDirectoryHandle): Promise<Index | Uint8Array | null> => {
  const bytes = await bytesAt(folder, indexName);
  // Empty: the tab ended before the first index was written.
  if (bytes === undefined || bytes.length === 0) return null;
  try {
    return parseManifest(JSON.parse(new TextDecoder().decode(bytes)))?.files ?? bytes;
  } catch {
    return bytes;
  }
};

/** The index to write after; a damaged one is set aside. */
const readyIndex = async (folder: FileSystemDirectoryHandle): Promise<Index> => {
  const found = await readIndex(folder);
  if (!(found instanceof Uint8Array)) return found ?? {};
  await writeAt(folder, asideName, found);
  return {};
};

/** The index to read. @throws CheckpointError for a damaged one. */
const wholeIndex = async (folder: FileSystemDirectoryHandle, where: string): Promise<Index> => {
  const found = await readIndex(folder);
  if (!(found instanceof Uint8Array)) return found ?? {};
  throw new CheckpointError({
    where: `${where}: ${indexName}`,
    must: "the list of the kept files must be whole",
    got: `${found.length} damaged bytes`,
    hint: `a new run: it sets the list aside as ${asideName}`,
  });
};

/** Whether a file of that many bytes is there. */
const isThere = async (folder: FileSystemDirectoryHandle, { sha256, bytes }: FileDigest): Promise<boolean> => {
  try {
    return (await (await folder.getFileHandle(sha256)).getFile()).size === bytes;
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotFoundError") return false;
    throw error;
  }
};

const namesIn = (index: Index): readonly string[] => Object.values(index).map(({ sha256 }) => sha256);

/** Removes files that the index does not name; beside an index that was set aside, of these only those in `written`. */
const removeOthers = async (
  folder: FileSystemDirectoryHandle,
  index: Index,
  written: readonly string[],
): Promise<void> => {
  const kept = new Set([indexName, asideName, ...namesIn(index)]);
  const isAside = (await bytesAt(folder, asideName)) !== undefined;
  // TypeScript's types of pages lack the iterators of a folder.
  const names = (folder as unknown as { keys(): AsyncIterable<string> }).keys();
  const others: string[] = [];
  for await (const name of names) if (!kept.has(name) && (!isAside || written.includes(name))) others.push(name);
  for (const name of others) await folder.removeEntry(name);
};

/** Milliseconds in which a page that is reloaded has ended, with its workers. */
const untilEnded = 1000;

/** Takes the lock of a name until the returned function is called; undefined: another tab has it. */
const takeLock = (name: string): Promise<(() => void) | undefined> =>
  new Promise((resolve, reject) => {
    const hold = (): Promise<void> => new Promise((release) => resolve(release));
    navigator.locks.request(name, { signal: AbortSignal.timeout(untilEnded) }, hold).catch((error: unknown) => {
      const isTaken = error instanceof DOMException && ["AbortError", "TimeoutError"].includes(error.name);
      if (isTaken) resolve(undefined);
      else reject(error);
    });
  });

/** The error of a browser that could not write. */
const writeError = (where: string, error: unknown): CheckpointError => {
  const isFull = error instanceof DOMException && error.name === "QuotaExceededError";
  return new CheckpointError({
    where,
    must: isFull
      ? "the browser must have room for the new files beside the old ones, which are unharmed"
      : "the browser must be able to write the files; the old ones are unharmed",
    got: isFull ? "its quota for this page is full" : error instanceof Error ? error.message : String(error),
    ...(isFull ? { hint: "a smaller model, or removing other data of this site" } : {}),
    cause: error,
  });
};

/**
 * Opens a place for files in the browser's private file system, by its name; one tab at a time has it. `openRunStore` keeps
 * a run in such a place.
 * @experimental
 * @param name up to 100 characters; a page may have several.
 * @throws ConfigError if another tab has it, or the page has no such file system: it must be served over HTTPS or from
 *   localhost.
 */
export const openFileStore = async (name: string): Promise<FileStore> => {
  if (typeof name !== "string" || name === "" || name.length > 100 || /^\.\.?$|\p{Surrogate}/u.test(name)) {
    const must = 'must be a text of 1 to 100 whole characters, other than "." and ".."';
    throw new ConfigError({ where: "store: name", must, got: show(name) });
  }
  const where = `store "${name}"`;
  if (globalThis.navigator?.storage?.getDirectory === undefined || navigator.locks === undefined) {
    throw new ConfigError({
      where,
      must: "the browser must have a private file system, and the page must be served over HTTPS or from localhost",
      got: "a page without one",
    });
  }
  const Handle = globalThis.FileSystemFileHandle;
  if (Handle !== undefined && !("createWritable" in Handle.prototype)) {
    throw new ConfigError({
      where,
      must: "the browser must be able to write to its private file system from a page (createWritable)",
      got: "one that cannot",
      hint: "a newer version of it, or another browser",
    });
  }
  const release = await takeLock(`foretoken ${name}`);
  if (release === undefined) {
    throw new ConfigError({
      where,
      must: "one tab at a time may keep its run here",
      got: "another tab that does",
      hint: "closing that tab",
    });
  }
  const open = async (): Promise<FileSystemDirectoryHandle> => {
    const all = await (await navigator.storage.getDirectory()).getDirectoryHandle(folderName, { create: true });
    return all.getDirectoryHandle(encodeURIComponent(name), { create: true });
  };
  const folder = await open().catch((error: unknown) => {
    release();
    throw writeError(where, error);
  });

  const replace = async (files: Readonly<Record<string, Uint8Array>>): Promise<void> => {
    const known = await readyIndex(folder).catch((error: unknown) => {
      throw writeError(where, error);
    });
    const there = new Set<string>();
    const written: string[] = [];
    // A map: a file may have any name, such as "__proto__".
    const named = new Map<string, FileDigest>();
    try {
      // What the browser has lost, or cut, is written again.
      for (const digest of Object.values(known)) {
        if (await isThere(folder, digest)) there.add(digest.sha256);
      }
      for (const [path, bytes] of Object.entries(files)) {
        const sha256 = (await hashInMemory(bytes)) ?? "";
        named.set(path, { bytes: bytes.length, sha256 });
        if (!there.has(sha256)) {
          if ((await bytesAt(folder, sha256)) === undefined) written.push(sha256);
          await writeAt(folder, sha256, bytes);
        }
        there.add(sha256);
      }
      const manifest = manifestJson({ run: null, files: Object.fromEntries(named) });
      await writeAt(folder, indexName, new TextEncoder().encode(manifest));
    } catch (error) {
      await removeOthers(folder, known, written).catch(() => undefined);
      throw writeError(where, error);
    }
    // What cannot be removed now is removed the next time.
    await removeOthers(folder, Object.fromEntries(named), namesIn(known)).catch(() => undefined);
  };
  // One after the other.
  let last: Promise<unknown> = Promise.resolve();
  let isClosed = false;
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    if (isClosed) {
      // Another tab may have it by now.
      const error = { where, must: "the store must be open", got: "a closed one", hint: "opening it again" };
      return Promise.reject(new ConfigError(error));
    }
    const next = last.then(work, work);
    last = next.catch(() => undefined);
    return next;
  };

  return {
    read: () =>
      inTurn(async () => {
        const index = await wholeIndex(folder, where);
        if (Object.keys(index).length === 0) return null;
        const files = new Map<string, Uint8Array>();
        for (const [path, { sha256 }] of Object.entries(index)) {
          const bytes = await bytesAt(folder, sha256);
          if (bytes === undefined || (await hashInMemory(bytes)) !== sha256) {
            throw new CheckpointError({
              where: `${where}: ${path}`,
              must: "the file must be the one that was kept, by its SHA-256",
              got: bytes === undefined ? "none" : `${bytes.length} other bytes`,
              hint: "a new run",
            });
          }
          files.set(path, bytes);
        }
        return Object.fromEntries(files);
      }),
    write: async (files) => {
      if (!isRecord(files) || Object.values(files).some((file) => !(file instanceof Uint8Array))) {
        throw new ConfigError({ where: `${where}: files`, must: "must be files as Uint8Arrays", got: show(files) });
      }
      await inTurn(() => replace(files));
    },
    clear: () =>
      inTurn(async () => {
        await replace({});
        await folder.removeEntry(asideName).catch(() => undefined);
        await removeOthers(folder, {}, []).catch(() => undefined);
      }),
    close: async () => {
      if (isClosed) return;
      const closing = inTurn(async () => release());
      isClosed = true;
      await closing;
    },
  };
};
