/** A run that a page keeps in the browser, so that it can resume the run after a reload. */
import { CheckpointError, ForetokenError } from "../core/errors/errors.ts";
import { openFileStore } from "../io/file-store.browser.ts";
import { type RunFiles, runFromFolder, runToFolder } from "./folder-in-memory.ts";

/**
 * A place for one run in the browser's private file system. It outlives the page, and belongs to the page's origin.
 * @experimental
 */
export interface BrowserRunStore {
  /**
   * Reads the stored run; null if there is none. @throws CheckpointError if the run is damaged, or the place holds
   * other files of `openFileStore`.
   */
  read(): Promise<RunFiles | null>;
  /**
   * Replaces the stored run. If the tab is closed meanwhile, the store has either the complete old run or the complete
   * new run.
   * Files whose bytes did not change are not written again.
   * @throws CheckpointError if the browser has no room; the old run stays.
   */
  write(run: RunFiles): Promise<void>;
  /** Removes the stored run. */
  clear(): Promise<void>;
  /** Closes the store, so that another tab can open it. Closing the tab closes the store too. */
  close(): Promise<void>;
}

/**
 * Opens a place for one run in the browser's private file system. Only one tab at a time can open it.
 * @experimental
 * @param name name of the place, up to 100 characters. A page may have several places.
 * @throws ConfigError if another tab has opened it, or the page has no such file system: the page must be served over
 * HTTPS or from localhost.
 * @example
 * ```ts
 * import { type CheckpointFiles, ConfigError, openRunStore, train } from "foretoken/browser";
 *
 * declare const notes: string;
 *
 * const store = await openRunStore("notes");
 * const kept = await store.read();
 * const text = kept?.text ?? notes;
 * let best = kept?.best;
 * const onCheckpoint = async (files: CheckpointFiles, which: "last" | "best"): Promise<void> => {
 *   if (which === "best") best = files;
 *   else await store.write({ text, last: files, best });
 * };
 * try {
 *   for await (const event of train({ text, resume: kept?.last, onCheckpoint })) console.log(event.type);
 * } catch (error) {
 *   if (kept === null || !(error instanceof ConfigError)) throw error;
 *   console.log(error.message); // Usually: the run has ended.
 * } finally {
 *   await store.close();
 * }
 * ```
 */
export const openRunStore = async (name: string): Promise<BrowserRunStore> => {
  const { read, write, ...store } = await openFileStore(name);
  return {
    ...store,
    async read() {
      const files = await read();
      if (files === null) return null;
      return runFromFolder(files).catch((cause: unknown) => {
        if (!(cause instanceof ForetokenError)) throw cause;
        throw new CheckpointError({
          where: `store "${name}"`,
          must: "the files must belong to one run",
          got: cause.details.got ?? "others",
          hint: "another name, or openFileStore for other files",
          cause,
        });
      });
    },
    write: async (run) => write(runToFolder(run)),
  };
};
