/** A browser's private file system and its locks, in memory, for tests in Node. */
import { vi } from "vitest";

type Entry = Uint8Array | Map<string, Entry>;

export interface PrivateFiles {
  /**
   * Ends the tab before this tab's change number `count`. This change and all later changes fail, and the tab's locks
   * are released.
   */
  endTabBefore(count: number): void;
  /** Limits the total number of bytes of all files. A write that exceeds the limit fails with the browser's error. */
  setRoom(bytes: number): void;
  /** Opens a new tab of the same browser. */
  newTab(): void;
  /** Number of changes by this tab so far. */
  changes(): number;
  /** Names of all files in all folders. */
  names(): readonly string[];
  /** Replaces the bytes of a file. */
  damage(name: string): void;
  /** Removes a file without the program's knowledge. */
  lose(name: string): void;
}

const notFound = (): DOMException => new DOMException("no such entry", "NotFoundError");

const filesIn = (folder: Map<string, Entry>): readonly (readonly [string, Uint8Array, Map<string, Entry>])[] =>
  [...folder].flatMap(([name, entry]) => (entry instanceof Map ? filesIn(entry) : [[name, entry, folder] as const]));

/** Replaces the storage and the locks of `navigator` for a test. */
export const stubPrivateFiles = (): PrivateFiles => {
  const root = new Map<string, Entry>();
  const locks = new Set<string>();
  let last = Number.POSITIVE_INFINITY;
  let done = 0;
  let room = Number.POSITIVE_INFINITY;
  const change = (): void => {
    if (done + 1 >= last) throw new Error("the tab has ended");
    done++;
  };
  const bytesKept = (): number => filesIn(root).reduce((sum, [, bytes]) => sum + bytes.length, 0);

  const fileHandle = (folder: Map<string, Entry>, name: string) => ({
    getFile: async () => {
      const bytes = folder.get(name);
      if (!(bytes instanceof Uint8Array)) throw notFound();
      return new Blob([bytes as Uint8Array<ArrayBuffer>]);
    },
    // As in a browser, the bytes are in the file only after the stream is closed.
    createWritable: async () => {
      let held = new Uint8Array();
      return {
        write: async (bytes: Uint8Array) => {
          if (bytesKept() + bytes.length > room) throw new DOMException("no room", "QuotaExceededError");
          held = Uint8Array.from(bytes);
        },
        close: async () => {
          change();
          folder.set(name, held);
        },
        abort: async () => {},
      };
    },
  });
  const folderHandle = (folder: Map<string, Entry>): object => ({
    getDirectoryHandle: async (name: string) => {
      const found = folder.get(name) ?? new Map<string, Entry>();
      folder.set(name, found);
      return folderHandle(found as Map<string, Entry>);
    },
    getFileHandle: async (name: string, options?: { create?: boolean }) => {
      if (!folder.has(name)) {
        if (options?.create !== true) throw notFound();
        change();
        folder.set(name, new Uint8Array());
      }
      return fileHandle(folder, name);
    },
    removeEntry: async (name: string) => {
      change();
      if (!folder.delete(name)) throw notFound();
    },
    async *keys() {
      yield* [...folder.keys()];
    },
  });
  const request = async (name: string, _: object, hold: (lock: object) => unknown): Promise<unknown> => {
    // Another tab has the lock, so the request fails as after a timeout.
    if (locks.has(name)) throw new DOMException("taken", "TimeoutError");
    locks.add(name);
    try {
      return await hold({ name });
    } finally {
      locks.delete(name);
    }
  };
  vi.stubGlobal("navigator", { storage: { getDirectory: async () => folderHandle(root) }, locks: { request } });
  return {
    endTabBefore(count) {
      last = done + count;
    },
    setRoom(bytes) {
      room = bytes;
    },
    newTab() {
      locks.clear();
      last = Number.POSITIVE_INFINITY;
      done = 0;
    },
    changes: () => done,
    names: () => filesIn(root).map(([name]) => name),
    lose(name) {
      for (const [one, , folder] of filesIn(root)) if (one === name) folder.delete(name);
    },
    damage(name) {
      for (const [found, bytes, folder] of filesIn(root))
        if (found === name)
          folder.set(
            name,
            bytes.map((byte) => ~byte),
          );
    },
  };
};
