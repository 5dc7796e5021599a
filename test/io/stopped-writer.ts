/**
 * A writer in this process that stops forever before one of its file-system operations. The disk then has the same
 * state as after a process was killed at this point.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import fs, { type FileHandle } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { afterAll, beforeAll } from "vitest";

type Call = (...args: never[]) => unknown;

interface Writer {
  /** Number of operations that were executed so far. */
  done: number;
  /** Number of the operation before which the writer stops. The first operation has number 1. */
  readonly last: number;
  readonly stop: () => void;
  /** The files that the writer has opened. The system would close these files at the end of the process. */
  readonly files: FileHandle[];
  /** Unfinished files and folders that the writer has created. The id of this process is part of their names. */
  readonly unfinished: Set<string>;
}

/** The name of an unfinished file, with the id of a process that no longer exists. */
const ofEnded = (path: string): string => path.replace(/(\.tmp-)[0-9a-f]{8}(?=[0-9a-f]{12}-[^/\\]*$)/u, "$1ffffffff");

/** Operations by path, and operations on an open file. */
const names = ["mkdir", "open", "readdir", "link", "rename", "unlink", "rmdir"];
const namesOfFiles = ["write", "sync"];

/**
 * Executes `work` until it is about to make the chosen operation. Resolves to true if `work` reached this operation.
 * Resolves to false if `work` is complete.
 */
export type StopBefore = (operation: number, work: () => Promise<unknown>) => Promise<boolean>;

/** Replaces the file-system operations for the tests of a file. Only the writer's own operations change. */
export const useStoppedWriter = (): StopBefore => {
  const writers = new AsyncLocalStorage<Writer>();
  const undo: (() => void)[] = [];
  const replace = (object: object, name: string): void => {
    const real = Reflect.get(object, name) as Call;
    const counting = async function (this: unknown, ...args: never[]): Promise<unknown> {
      const writer = writers.getStore();
      if (writer !== undefined && ++writer.done >= writer.last) {
        writer.stop();
        return new Promise(() => {});
      }
      const result = await Reflect.apply(real, this, args);
      if (name === "open") writer?.files.push(result as FileHandle);
      const [path] = args as readonly unknown[];
      if (typeof path === "string" && ofEnded(path) !== path) writer?.unfinished.add(path);
      return result;
    };
    Reflect.set(object, name, counting);
    undo.push(() => Reflect.set(object, name, real));
  };

  beforeAll(async () => {
    for (const name of names) replace(fs, name);
    const file = await fs.open(process.execPath);
    for (const name of namesOfFiles) replace(Object.getPrototypeOf(file), name);
    await file.close();
    syncBuiltinESMExports();
  });
  afterAll(() => {
    for (const again of undo) again();
    syncBuiltinESMExports();
  });

  return async (operation, work) => {
    const files: FileHandle[] = [];
    const unfinished = new Set<string>();
    const stopped = await new Promise<boolean>((resolve, reject) => {
      const writer = { done: 0, last: operation, stop: () => resolve(true), files, unfinished };
      writers.run(writer, work).then(() => resolve(false), reject);
    });
    // Closing a closed file throws.
    if (stopped) for (const file of files) await file.close().catch(() => undefined);
    if (stopped) for (const path of unfinished) await fs.rename(path, ofEnded(path)).catch(() => undefined);
    return stopped;
  };
};
