/** Checkpoints that are kept beside the last one, each in a folder with its step in the name. */
import { readdir, rename } from "node:fs/promises";
import { basename, join } from "node:path";
import { type Keep, recoverCheckpoint } from "../../../io/checkpoint.node.ts";
import { flushFolder } from "../../../io/files.node.ts";
import { occupantOf, readManifest, removeOwned } from "../../../io/owned-folder.node.ts";
import { folderNames, keptName, keptStep } from "../folder-names.ts";

/** Steps of the checkpoints that are kept beside the last one in a run's folder, the newest first. */
export const keptSteps = async (folder: string): Promise<readonly number[]> => {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() ? (keptStep(entry.name) ?? []) : [])).sort((a, b) => b - a);
};

/**
 * Makes room for a new last checkpoint of `step`: the old one is kept if more than one are kept, and removed if it is
 * not from before.
 */
export const keepBefore =
  (folder: string, step: number, keepLast: number): Keep =>
  async (old) => {
    const oldStep = keepLast > 1 ? (await readManifest(old))?.run?.step : undefined;
    if (oldStep === undefined || oldStep >= step) return undefined;
    const target = join(folder, keptName(oldStep));
    const occupant = await occupantOf(target);
    // From the same run before it went back: it is written again, to the bit.
    if (occupant === "ours") await removeOwned(target);
    return (await occupantOf(target)) === "nothing" ? target : undefined;
  };

/** Removes the oldest checkpoints before `step`, so that `keepLast` remain with the last one. */
export const prune = async (folder: string, step: number, keepLast: number): Promise<void> => {
  const before = (await keptSteps(folder)).filter((kept) => kept < step);
  for (const kept of before.slice(Math.max(0, keepLast - 1))) {
    const path = join(folder, keptName(kept));
    if ((await occupantOf(path)) === "ours") await removeOwned(path);
  }
};

const freeName = async (path: string): Promise<string> => {
  for (let i = 1; ; i++) {
    const name = i === 1 ? path : `${path}-${i}`;
    if ((await occupantOf(name)) === "nothing") return name;
  }
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
