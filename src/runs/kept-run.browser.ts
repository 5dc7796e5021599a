/** A run that a page keeps in the browser, to go on with it after a reload. */
import { CheckpointError, ForetokenError } from "../core/errors/errors.ts";
import { openFileStore } from "../io/file-store.browser.ts";
import { type RunFiles, runFromFolder, runToFolder } from "./folder-in-memory.ts";

/**
 * A place for one run in the browser's private file system: it outlasts the page, and belongs to its origin.
 * @experimental
 */
export interface BrowserRunStore {
  /** The kept run; null if there is none. @throws CheckpointError for a damaged one, or other files of `openFileStore`. */
  read(): Promise<RunFiles | null>;
  /**
   * Keeps a run in place of the one before. If the tab ends meanwhile, the store has the old run or the new one, whole. Files
   * with the same bytes as before are not written again.
   * @throws CheckpointError if the browser has no room: the run before stays.
   */
  write(run: RunFiles): Promise<void>;
  /** Removes the kept run. */
  clear(): Promise<void>;
  /** Lets another tab open the store; a tab that ends does so too. */
  close(): Promise<void>;
}

/**
 * Opens a place for one run in the browser's private file system. One tab at a time has it.
 * @experimental
 * @param name of the place, up to 100 characters; a page may have several.
 * @throws ConfigError if another tab has it, or the page has no such file system: it must be served over HTTPS or from
 *   localhost.
 * @example
 * ```ts
 * import { type CheckpointFiles, ConfigError, openRunStore, train } from "foretoken/browser";
 *
 * declare const notes: string;
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
 *   console.log(error.message); // Most often: it has ended.
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
          must: "the files must be those of one run",
          got: cause.details.got ?? "others",
          hint: "another name, or openFileStore for other files",
          cause,
        });
      });
    },
    write: async (run) => write(runToFolder(run)),
  };
};
