// The run that the browser keeps for this page, and its folder, which `foretoken train --resume` takes.
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

/** Whether another tab has the place of the run. */
export const isTaken = (error: unknown): boolean =>
  error instanceof ForetokenError && error.details.got === "another tab that uses it";

/**
 * After a reload, the page before may still have the place for a moment: milliseconds in which it is tried again, and after which
 * it is most likely another tab's.
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
 * The run of an earlier visit, if there is one. Fails where the browser keeps none, as in a second tab.
 * @param onTaken is called while another tab has its place, which is waited for a little.
 */
export const readKept = async (onTaken: () => void): Promise<RunFiles | null> => {
  store = await openStore(onTaken);
  return store.read();
};

/** Whether the browser keeps the runs of this page. */
export const keepsRuns = (): boolean => store !== undefined;

/** Keeps a run in place of the one before, which stays where there is no room. */
export const writeKept = async (run: RunFiles): Promise<void> => store?.write(run);

/** Saves the run's folder as a ZIP archive. */
export const download = (run: RunFiles): void => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(zipFolder(runToFolder(run), "foretoken-run"));
  link.download = "foretoken-run.zip";
  link.click();
  // Once the download has begun.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
};

/** The run in a folder, from a download or of `foretoken train`. `text`: where the folder has none of its own. */
export const openFolder = async (files: FileList, text: string): Promise<RunFiles> => {
  const run = await runFromFolder(files);
  return run.documents === undefined ? { text, ...run } : run;
};
