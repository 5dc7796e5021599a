/** Stores files of a page in the browser's private file system (OPFS). All files are replaced together. */

import { isRecord } from "../core/checks/is-record.ts";
import { CheckpointError, ConfigError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import { type FileDigest, manifestJson, parseManifest } from "./manifest.ts";
import { hashInMemory } from "./manifest-in-memory.ts";

/**
 * Files that a page stores. All files are replaced together: if the tab closes at any moment, either all old files or
 * all new files are there.
 * @experimental
 */
export interface FileStore {
  /**
   * Reads all files, by path. Returns null if no files are stored.
   * @throws CheckpointError if a file is missing or damaged, or if the index of files is damaged.
   */
  read(): Promise<Readonly<Record<string, Uint8Array>> | null>;
  /**
   * Stores files and removes the previous files. If the previous index is damaged, it is renamed to
   * `index-set-aside.json`. The files that the damaged index listed stay until `clear`.
   * @throws CheckpointError if there is no space; the previous files then stay.
   */
  write(files: Readonly<Record<string, Uint8Array>>): Promise<void>;
  /** Removes all files. */
  clear(): Promise<void>;
  /** Closes the store, so that another tab can open it. */
  close(): Promise<void>;
}

/**
 * The files of a store are in one folder, named by their SHA-256. `index.json` maps paths to hashes, in the format of a
 * checkpoint's manifest. Files are replaced in this order:
 *
 *     1. write files that the index does not list yet
 *     2. replace the index; the browser does this atomically when the file is closed
 *     3. remove files that the new index does not list
 */
type Index = Readonly<Record<string, FileDigest>>;

const indexName = "index.json";
/**
 * New name of a damaged index. While a file with this name exists, a stored file is removed only if a later index has
 * listed it.
 */
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
    // A view of shared memory is copied, because a stream does not accept it.
    await stream.write(
      bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : Uint8Array.from(bytes),
    );
    await stream.close();
  } catch (error) {
    await stream.abort().catch(() => undefined);
    throw error;
  }
};

/** Reads the index. Returns null if there is no index yet, and the index's bytes if it is damaged. */
const readIndex = async (folder: FileSystemDirectoryHandle): Promise<Index | Uint8Array | null> => {
  const bytes = await bytesAt(folder, indexName);
  // An empty file means that the tab ended before the first index was written.
  if (bytes === undefined || bytes.length === 0) return null;
  try {
    return parseManifest(JSON.parse(new TextDecoder().decode(bytes)))?.files ?? bytes;
  } catch {
    return bytes;
  }
};

/** Reads the index before files are written. A damaged index is renamed. */
const readyIndex = async (folder: FileSystemDirectoryHandle): Promise<Index> => {
  const found = await readIndex(folder);
  if (!(found instanceof Uint8Array)) return found ?? {};
  await writeAt(folder, asideName, found);
  return {};
};

/** Reads the index before files are read. @throws CheckpointError if it is damaged. */
const wholeIndex = async (folder: FileSystemDirectoryHandle, where: string): Promise<Index> => {
  const found = await readIndex(folder);
  if (!(found instanceof Uint8Array)) return found ?? {};
  throw new CheckpointError({
    where: `${where}: ${indexName}`,
    must: "the index of the stored files must not be damaged",
    got: `${found.length} damaged bytes`,
    hint: `a new run, which renames the damaged index to ${asideName}`,
  });
};

/** Whether the file exists and has the size that the index lists. */
const isThere = async (folder: FileSystemDirectoryHandle, { sha256, bytes }: FileDigest): Promise<boolean> => {
  try {
    return (await (await folder.getFileHandle(sha256)).getFile()).size === bytes;
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotFoundError") return false;
    throw error;
  }
};

const namesIn = (index: Index): readonly string[] => Object.values(index).map(({ sha256 }) => sha256);

/** Removes files that the index does not list. If a damaged index was renamed, removes only files in `written`. */
const removeOthers = async (
  folder: FileSystemDirectoryHandle,
  index: Index,
  written: readonly string[],
): Promise<void> => {
  const kept = new Set([indexName, asideName, ...namesIn(index)]);
  const isAside = (await bytesAt(folder, asideName)) !== undefined;
  // TypeScript's types for pages lack a folder's iterators.
  const names = (folder as unknown as { keys(): AsyncIterable<string> }).keys();
  const others: string[] = [];
  for await (const name of names) if (!kept.has(name) && (!isAside || written.includes(name))) others.push(name);
  for (const name of others) await folder.removeEntry(name);
};

/** Time in milliseconds to wait for a lock. After a reload, the old page and its workers end within this time. */
const untilEnded = 1000;

/**
 * Takes the lock with this name. Returns a function that releases the lock, or undefined if another tab has the lock.
 */
const takeLock = (name: string): Promise<(() => void) | undefined> =>
  new Promise((resolve, reject) => {
    const hold = (): Promise<void> => new Promise((release) => resolve(release));
    navigator.locks.request(name, { signal: AbortSignal.timeout(untilEnded) }, hold).catch((error: unknown) => {
      const isTaken = error instanceof DOMException && ["AbortError", "TimeoutError"].includes(error.name);
      if (isTaken) resolve(undefined);
      else reject(error);
    });
  });

/** Error for a failed write in the browser. */
const writeError = (where: string, error: unknown): CheckpointError => {
  const isFull = error instanceof DOMException && error.name === "QuotaExceededError";
  return new CheckpointError({
    where,
    must: isFull
      ? "the browser must have space for the new files in addition to the old files; the old files are unchanged"
      : "the browser must be able to write the files; the old files are unchanged",
    got: isFull ? "a full storage quota for this page" : error instanceof Error ? error.message : String(error),
    ...(isFull ? { hint: "a smaller model, or removing other data of this site" } : {}),
    cause: error,
  });
};

/**
 * Opens a named store for files in the browser's private file system. Only one tab at a time can open the store.
 * `openRunStore` keeps a run in such a store.
 * @experimental
 * @param name 1 to 100 characters. A page may have several stores.
 * @throws ConfigError if another tab has opened the store, or if the page has no private file system. The page must be
 * served over HTTPS or from localhost.
 */
export const openFileStore = async (name: string): Promise<FileStore> => {
  if (typeof name !== "string" || name === "" || name.length > 100 || /^\.\.?$|\p{Surrogate}/u.test(name)) {
    const must = 'must be a string of 1 to 100 characters, other than "." and ".."';
    throw new ConfigError({ where: "store: name", must, got: show(name) });
  }
  const where = `store "${name}"`;
  if (globalThis.navigator?.storage?.getDirectory === undefined || navigator.locks === undefined) {
    throw new ConfigError({
      where,
      must: "the browser must have a private file system, and the page must be served over HTTPS or from localhost",
      got: "a page without a private file system",
    });
  }
  const Handle = globalThis.FileSystemFileHandle;
  if (Handle !== undefined && !("createWritable" in Handle.prototype)) {
    throw new ConfigError({
      where,
      must: "the browser must be able to write to its private file system from a page (createWritable)",
      got: "a browser without createWritable",
      hint: "a newer version of the browser, or another browser",
    });
  }
  const release = await takeLock(`foretoken ${name}`);
  if (release === undefined) {
    throw new ConfigError({
      where,
      must: "only one tab at a time may use the store",
      got: "another tab that uses it",
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
    // The type is Map, because a file may have any name, even "__proto__".
    const named = new Map<string, FileDigest>();
    try {
      // Files that the browser has lost or truncated are written again.
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
    // Files that cannot be removed now are removed by the next write.
    await removeOthers(folder, Object.fromEntries(named), namesIn(known)).catch(() => undefined);
  };
  // Operations run one at a time, in order.
  let last: Promise<unknown> = Promise.resolve();
  let isClosed = false;
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    if (isClosed) {
      // After this tab has closed the store, another tab may have opened it.
      const error = { where, must: "the store must be open", got: "a closed store", hint: "opening it again" };
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
              must: "the file must match its SHA-256 in the index",
              got: bytes === undefined ? "no file" : `a different file of ${bytes.length} bytes`,
              hint: "a new run",
            });
          }
          files.set(path, bytes);
        }
        return Object.fromEntries(files);
      }),
    write: async (files) => {
      if (!isRecord(files) || Object.values(files).some((file) => !(file instanceof Uint8Array))) {
        throw new ConfigError({
          where: `${where}: files`,
          must: "must be an object with files as Uint8Arrays",
          got: show(files),
        });
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
