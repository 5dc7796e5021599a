/**
 * Kept checkpoints other than the last checkpoint. Each kept checkpoint is in a folder with its step in the name. If a
 * run resumes from an earlier checkpoint, it writes the later checkpoints again, with equal bits. If a new checkpoint
 * is different (because of another number of steps or another backend), the old checkpoint is set aside.
 */
import { readdir, rename } from "node:fs/promises";
import { basename, join } from "node:path";
import type { RunConfig } from "../../config/config.ts";
import { type Keep, recoverCheckpoint } from "../../io/checkpoint.node.ts";
import { flushFolder } from "../../io/files.node.ts";
import { haveSameFiles, type Manifest } from "../../io/manifest.ts";
import { freeName, isOursAlone, occupantOf, removeOwned } from "../../io/owned-folder.node.ts";
import { readManifest } from "../../io/read-manifest.node.ts";
import { folderNames, keptName, keptStep } from "../folder-names.ts";
import { isOfPlan } from "../same-config.node.ts";

/** Steps of the kept checkpoints in a run's folder, the newest step first. The last checkpoint is not included. */
export const keptSteps = async (folder: string): Promise<readonly number[]> => {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() ? (keptStep(entry.name) ?? []) : [])).sort((a, b) => b - a);
};

/** Sets the kept checkpoint `path` aside. Returns its new folder name. */
const setKeptAside = async (path: string): Promise<string> => {
  const aside = await freeName(`${path}-set-aside`);
  await rename(path, aside);
  return basename(aside);
};

/**
 * Frees the folder of a kept checkpoint for `written`, if this program wrote the folder. An equal checkpoint is
 * removed. A different checkpoint is set aside.
 */
const makeRoom = async (place: string, written: Manifest): Promise<void> => {
  if ((await occupantOf(place)) !== "ours") return;
  const found = await readManifest(place);
  const isSame = found !== null && haveSameFiles(found, written) && (await isOursAlone(place));
  if (isSame) await removeOwned(place);
  else await setKeptAside(place);
};

/**
 * Decides what happens to the old last checkpoint when the checkpoint of `step` replaces it. The old checkpoint stays
 * if the run keeps several checkpoints and the old checkpoint has an earlier step. Otherwise it is removed.
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

/** Whether the kept checkpoint `path` of `step` belongs to a run with `config`. */
const isOnTheWay = async (path: string, step: number, config: RunConfig): Promise<boolean> =>
  isOfPlan((await readManifest(path))?.run ?? null, step, config);

/** Removes the run's oldest checkpoints before `step`. `keepLast` checkpoints remain, including the last checkpoint. */
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
 * Sets aside kept checkpoints after `step` that a run with `config` does not reach. These checkpoints belong to a plan
 * that the run no longer follows. Returns their steps in ascending order.
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

/** Temporary name of the last checkpoint while another checkpoint replaces it. */
const onItsWay = `.aside-${folderNames.checkpoint}`;

const setAside = async (folder: string): Promise<string> => {
  const aside = await freeName(join(folder, `${folderNames.checkpoint}-set-aside`));
  await rename(join(folder, onItsWay), aside);
  return basename(aside);
};

/** Finishes or undoes a `takeUp` call if its process was killed. */
export const recoverTakeUp = async (folder: string): Promise<void> => {
  if ((await occupantOf(join(folder, onItsWay))) !== "ours") return;
  const last = join(folder, folderNames.checkpoint);
  if ((await occupantOf(last)) === "nothing") await rename(join(folder, onItsWay), last);
  else await setAside(folder);
  await flushFolder(folder);
};

/**
 * Makes the checkpoint `name` the last checkpoint of the run in `folder`. The former last checkpoint is set aside under
 * a new name and never removed. If the process is killed between the renames, `recoverTakeUp` restores the former
 * checkpoint or finishes the work.
 * @returns the new name of the former last checkpoint; undefined if there was none.
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
