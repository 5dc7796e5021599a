/**
 * Sets aside the best weights of a later step than the resumed step. There are such weights if a run ended before its
 * next checkpoint, or if an earlier checkpoint is resumed. The later weights are better than the run's best weights at
 * the resumed step, so they are kept in another folder. The folder is removed when the run has written the same weights
 * again. The later weights are restored if the run is resumed from the later checkpoint that they belong to.
 */
import { readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { recoverCheckpoint } from "../../io/checkpoint.node.ts";
import { flushFolder } from "../../io/files.node.ts";
import { haveSameFiles, type Manifest } from "../../io/manifest.ts";
import { isOursAlone, occupantOf, removeOwned } from "../../io/owned-folder.node.ts";
import { holdsAllFiles } from "../../io/read-checkpoint.node.ts";
import { readManifest } from "../../io/read-manifest.node.ts";
import { type BestKind, bestWeights } from "./best-kinds.ts";

/** Best weights that were set aside. */
interface Aside {
  /** Name of the folder, in the run's folder. */
  readonly name: string;
  readonly path: string;
  readonly manifest: Manifest;
}

/** The complete sets of best weights of one kind that were set aside in a run's folder. */
export const asidesIn = async (folder: string, { name: kind }: BestKind = bestWeights): Promise<readonly Aside[]> => {
  const form = new RegExp(`^${kind}-set-aside-\\d{1,15}(?:-\\d+)?$`, "u");
  const asides: Aside[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (!entry.isDirectory() || !form.test(entry.name)) continue;
    const path = join(folder, entry.name);
    const manifest = await readManifest(path);
    if (manifest !== null && (await holdsAllFiles(path))) asides.push({ name: entry.name, path, manifest });
  }
  return asides;
};

/** Best weights that have just been set aside. */
export interface SetAside {
  /** Notice for the user. */
  readonly line: string;
  /** Moves the weights back if later work fails. */
  undo(): Promise<void>;
}

/**
 * Sets aside the best weights of one kind of the run in `folder`, with everything in their folder. If the same weights
 * were set aside before, they are only removed from their place.
 * @param shown the folder's path for messages.
 * @param from the step at which the run is resumed. Default: the beginning of the run.
 * @param returns whether the resumed run will reach the same weights again.
 */
export const setBestAside = async (
  folder: string,
  shown: string,
  from = -1,
  returns = true,
  kind: BestKind = bestWeights,
): Promise<SetAside | undefined> => {
  const best = join(folder, kind.name);
  await recoverCheckpoint(best);
  if ((await occupantOf(best)) !== "ours") return undefined;
  const manifest = await readManifest(best);
  const asides = await asidesIn(folder, kind);
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
    const name = `${kind.name}-set-aside-${step}${i === 1 ? "" : `-${i}`}`;
    const aside = join(folder, name);
    if ((await occupantOf(aside).catch(() => "taken")) !== "nothing") continue;
    await rename(best, aside);
    await flushFolder(folder);
    const what = step > from ? `the ${kind.words} so far, from a later step` : `former ${kind.words}`;
    const line = returns
      ? `${what}; kept until the run reaches that step again`
      : `${kind.words} of an earlier plan that the run no longer follows`;
    return { line: `${join(shown, name)}: ${line}`, undo: () => rename(aside, best) };
  }
};

/** Removes weights that were set aside in `folder`, if the run has written the same weights again. */
export const dropWrittenAgain = async (folder: string, kind: BestKind = bestWeights): Promise<void> => {
  const best = join(folder, kind.name);
  const manifest = await readManifest(best);
  if (manifest === null || !(await holdsAllFiles(best))) return;
  for (const aside of await asidesIn(folder, kind)) {
    if (haveSameFiles(aside.manifest, manifest) && (await isOursAlone(aside.path))) await removeOwned(aside.path);
  }
};
