/**
 * Best weights from after the point that a run goes on from: it was ended before its next checkpoint, or an earlier one is
 * resumed. They are better than what the run has there, so they are set aside. They go when the run has written the same
 * weights again, and come back if a later checkpoint is resumed to which they belong.
 */
import { readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { recoverCheckpoint } from "../../io/checkpoint.node.ts";
import { flushFolder } from "../../io/files.node.ts";
import { haveSameFiles, type Manifest } from "../../io/manifest.ts";
import { isOursAlone, occupantOf, readManifest, removeOwned } from "../../io/owned-folder.node.ts";
import { holdsAllFiles } from "../../io/read-checkpoint.node.ts";
import { folderNames } from "../folder-names.ts";

/** Best weights that were set aside. */
interface Aside {
  /** Of their folder, in the run's. */
  readonly name: string;
  readonly path: string;
  readonly manifest: Manifest;
}

/** Those in a run's folder that are whole. */
export const asidesIn = async (folder: string): Promise<readonly Aside[]> => {
  const asides: Aside[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (!entry.isDirectory() || !/^best-set-aside-\d{1,15}(?:-\d+)?$/u.test(entry.name)) continue;
    const path = join(folder, entry.name);
    const manifest = await readManifest(path);
    if (manifest !== null && (await holdsAllFiles(path))) asides.push({ name: entry.name, path, manifest });
  }
  return asides;
};

/** Best weights that have just been set aside. */
export interface SetAside {
  /** Line for the user. */
  readonly line: string;
  /** Puts them back, where what should have followed cannot be done. */
  undo(): Promise<void>;
}

/**
 * Sets the best weights of the run in `folder` aside, with all that is in their folder; the same weights once.
 * @param shown the folder's path, as it is shown.
 * @param from the step from which the run goes on. Default its beginning.
 * @param returns whether the run, as it goes on, comes to the same weights again.
 */
export const setBestAside = async (
  folder: string,
  shown: string,
  from = -1,
  returns = true,
): Promise<SetAside | undefined> => {
  const best = join(folder, folderNames.best);
  await recoverCheckpoint(best);
  if ((await occupantOf(best)) !== "ours") return undefined;
  const manifest = await readManifest(best);
  const asides = await asidesIn(folder);
  if (
    manifest !== null &&
    asides.some((aside) => haveSameFiles(aside.manifest, manifest)) &&
    (await isOursAlone(best))
  ) {
    await removeOwned(best);
    return undefined;
  }
  const step = manifest?.run?.step ?? 0;
  for (let i = 1; ; i++) {
    const name = `${folderNames.best}-set-aside-${step}${i === 1 ? "" : `-${i}`}`;
    const aside = join(folder, name);
    if ((await occupantOf(aside).catch(() => "taken")) !== "nothing") continue;
    await rename(best, aside);
    await flushFolder(folder);
    const what = step > from ? "the best weights so far, from after this point" : "best weights of before";
    const line = returns ? `${what}; until the run has them again` : "best weights of the plan that the run leaves";
    return { line: `${join(shown, name)}: ${line}`, undo: () => rename(aside, best) };
  }
};

/** Removes the weights that were set aside in `folder` and that the run has written again. */
export const dropWrittenAgain = async (folder: string): Promise<void> => {
  const best = join(folder, folderNames.best);
  const manifest = await readManifest(best);
  if (manifest === null || !(await holdsAllFiles(best))) return;
  for (const aside of await asidesIn(folder)) {
    if (haveSameFiles(aside.manifest, manifest) && (await isOursAlone(aside.path))) await removeOwned(aside.path);
  }
};
