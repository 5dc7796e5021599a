// The run that the browser keeps for this page, and its folder, which `foretoken train --resume` can resume.
import {
  type BrowserRunStore,
  ForetokenError,
  openRunStore,
  type RunFiles,
  runFromFolder,
  runToFolder,
  zipFolder,
} from "foretoken/browser";

let store: BrowserRunStore | undefined;

/** Whether the error says that another tab uses the storage of the run. */
export const isTaken = (error: unknown): boolean =>
  error instanceof ForetokenError && error.details.got === "another tab that uses it";

/**
 * After a reload, the old page may use the storage for a moment. This page tries again for `longestWait` milliseconds.
 * After this time, another tab probably uses the storage.
 */
const longestWait = 5000;
const reloadTakes = 400;

const openStore = async (onTaken: () => void): Promise<BrowserRunStore> => {
  const begin = performance.now();
  let isTold = false;
  for (;;) {
    try {
      return await openRunStore("starter");
    } catch (error) {
      const waited = performance.now() - begin;
      if (!isTaken(error) || waited > longestWait) throw error;
      if (!isTold && waited > reloadTakes) {
        isTold = true;
        onTaken();
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
};

/**
 * Reads the run of an earlier visit, if there is such a run. Throws if the browser cannot keep a run, for example in a
 * second tab.
 * @param onTaken is called while this page waits because another tab uses the storage.
 */
export const readKept = async (onTaken: () => void): Promise<RunFiles | null> => {
  store = await openStore(onTaken);
  return store.read();
};

/** Whether the browser keeps the runs of this page. */
export const keepsRuns = (): boolean => store !== undefined;

/** Stores a run and replaces the stored run. If there is no space, the old run stays. */
export const writeKept = async (run: RunFiles): Promise<void> => store?.write(run);

/** Saves the run's folder as a ZIP archive. */
export const download = (run: RunFiles): void => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(zipFolder(runToFolder(run), "foretoken-run"));
  link.download = "foretoken-run.zip";
  link.click();
  // The address must stay valid until the download has begun.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
};

/**
 * The run in a folder, which comes from a download or from `foretoken train`. `text` is used if the folder contains no
 * text.
 */
export const openFolder = async (files: FileList, text: string): Promise<RunFiles> => {
  const run = await runFromFolder(files);
  return run.documents === undefined ? { text, ...run } : run;
};
