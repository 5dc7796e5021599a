/**
 * Checkpoints that are kept beside the last one, each in a folder with its step in the name. A run that goes on from an earlier
 * one writes the later ones again, to the bit; if it comes to others (another number of steps, another backend), the former
 * ones are set aside.
 */
import { readdir, rename } from "node:fs/promises";
import { basename, join } from "node:path";
import type { RunConfig } from "../../config/config.ts";
import { type Keep, recoverCheckpoint } from "../../io/checkpoint.node.ts";
import { flushFolder } from "../../io/files.node.ts";
import { haveSameFiles, type Manifest } from "../../io/manifest.ts";
import { freeName, isOursAlone, occupantOf, readManifest, removeOwned } from "../../io/owned-folder.node.ts";
import { folderNames, keptName, keptStep } from "../folder-names.ts";
import { isOfPlan } from "../same-config.node.ts";

/** Steps of the checkpoints that are kept beside the last one in a run's folder, the newest first. */
export const keptSteps = async (folder: string): Promise<readonly number[]> => {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() ? (keptStep(entry.name) ?? []) : [])).sort((a, b) => b - a);
};

/** Sets the kept checkpoint `path` aside. Returns its new name. */
const setKeptAside = async (path: string): Promise<string> => {
  const aside = await freeName(`${path}-set-aside`);
  await rename(path, aside);
  return basename(aside);
};

/** Frees the place of a kept checkpoint for `written`, if it is ours: the same one goes, another one is set aside. */
const makeRoom = async (place: string, written: Manifest): Promise<void> => {
  if ((await occupantOf(place)) !== "ours") return;
  const found = await readManifest(place);
  const isSame = found !== null && haveSameFiles(found, written) && (await isOursAlone(place));
  if (isSame) await removeOwned(place);
  else await setKeptAside(place);
};

/**
 * Makes room for a new last checkpoint of `step`: the old one is kept if more than one are kept, and removed if it is
 * not from before.
 */
export const keepBefore =
  (folder: string, step: number, keepLast: number): Keep =>
  async (old) => {
    const manifest = keepLast > 1 ? await readManifest(old) : null;
    const oldStep = manifest?.run?.step;
    if (manifest === null || oldStep === undefined || oldStep >= step) return undefined;
    const target = join(folder, keptName(oldStep));
    await makeRoom(target, manifest);
    return (await occupantOf(target)) === "nothing" ? target : undefined;
  };

/** Whether the kept checkpoint `path` of `step` is one to which the run comes, or came, by `config`. */
const isOnTheWay = async (path: string, step: number, config: RunConfig): Promise<boolean> =>
  isOfPlan((await readManifest(path))?.run ?? null, step, config);

/** Removes the run's oldest checkpoints before `step`, so that `keepLast` remain with the last one. */
export const prune = async (folder: string, step: number, keepLast: number, config: RunConfig): Promise<void> => {
  let left = keepLast - 1;
  for (const kept of await keptSteps(folder)) {
    const path = join(folder, keptName(kept));
    if (kept >= step || (await occupantOf(path)) !== "ours" || !(await isOnTheWay(path, kept, config))) continue;
    if (left > 0) left--;
    else await removeOwned(path);
  }
};

/**
 * Sets kept checkpoints from after `step` aside to which a run that goes on with `config` does not come: they are of a plan that
 * it leaves. Returns their former steps, in ascending order.
 */
export const setLeftAside = async (folder: string, step: number, config: RunConfig): Promise<readonly number[]> => {
  const left: number[] = [];
  for (const kept of await keptSteps(folder)) {
    const path = join(folder, keptName(kept));
    if (kept <= step || (await occupantOf(path)) !== "ours" || (await isOnTheWay(path, kept, config))) continue;
    await setKeptAside(path);
    left.unshift(kept);
  }
  if (left.length > 0) await flushFolder(folder);
  return left;
};

/** Name of the last checkpoint while another one takes its place. */
const onItsWay = `.aside-${folderNames.checkpoint}`;

const setAside = async (folder: string): Promise<string> => {
  const aside = await freeName(join(folder, `${folderNames.checkpoint}-set-aside`));
  await rename(join(folder, onItsWay), aside);
  return basename(aside);
};

/** Completes or undoes what a killed `takeUp` has begun. */
export const recoverTakeUp = async (folder: string): Promise<void> => {
  if ((await occupantOf(join(folder, onItsWay))) !== "ours") return;
  const last = join(folder, folderNames.checkpoint);
  if ((await occupantOf(last)) === "nothing") await rename(join(folder, onItsWay), last);
  else await setAside(folder);
  await flushFolder(folder);
};

/**
 * Makes the checkpoint `name` the last one of the run in `folder`. The former last one is set aside under a name that says
 * so, and never removed. After a kill between the renames, `recoverTakeUp` puts the former one back, or completes the work.
 * @returns the name of the one that was set aside; undefined if there was no last one.
 */
export const takeUp = async (folder: string, name: string): Promise<string | undefined> => {
  const last = join(folder, folderNames.checkpoint);
  await recoverCheckpoint(last);
  const isThere = (await occupantOf(last)) !== "nothing";
  if (isThere) await rename(last, join(folder, onItsWay));
  await rename(join(folder, name), last);
  const aside = isThere ? await setAside(folder) : undefined;
  await flushFolder(folder);
  return aside;
};
