/**
 * The best weights of a run that begins again, since it was ended before its first checkpoint: they are set aside until the
 * run has come as far again, and so are better than what it has till then.
 */
import { readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { recoverCheckpoint } from "../../../io/checkpoint.node.ts";
import { flushFolder } from "../../../io/files.node.ts";
import type { Binding } from "../../../io/manifest.ts";
import { occupantOf, readManifest, removeOwned } from "../../../io/owned-folder.node.ts";
import { folderNames } from "../folder-names.ts";

const asideName = (i: number): string => `${folderNames.best}-set-aside${i === 1 ? "" : `-${i}`}`;

/** Names of best weights that were set aside. */
const asidesIn = async (folder: string): Promise<readonly string[]> =>
  (await readdir(folder)).filter((name) => name.startsWith(asideName(1)));

const bindingOf = async (folder: string): Promise<Binding | undefined> =>
  (await readManifest(folder))?.run ?? undefined;

/**
 * Sets the best weights of the run in `folder` aside. Of the same step this is done once, however often the run begins again.
 * @param shown the folder's path, as it is shown.
 */
export const setBestAside = async (
  folder: string,
  shown: string,
  onNotice: (line: string) => void | Promise<void>,
): Promise<void> => {
  const best = join(folder, folderNames.best);
  await recoverCheckpoint(best);
  if ((await occupantOf(best)) !== "ours") return;
  const step = (await bindingOf(best))?.step;
  for (const name of await asidesIn(folder)) {
    if (step === undefined || (await bindingOf(join(folder, name)))?.step !== step) continue;
    await removeOwned(best);
    return;
  }
  let i = 1;
  while ((await occupantOf(join(folder, asideName(i)))) !== "nothing") i++;
  await rename(best, join(folder, asideName(i)));
  await flushFolder(folder);
  const of = step === undefined ? "" : `, of step ${step}`;
  await onNotice(`${join(shown, asideName(i))}: the best weights so far${of}, until the run has come as far again`);
};

/** Finds best weights that were set aside in `folder`. Returns what removes them once the run has come as far again. */
export const openAsides = async (folder: string): Promise<(run: Binding) => Promise<void>> => {
  let asides = await asidesIn(folder);
  return async ({ step, config }) => {
    const left: string[] = [];
    for (const name of asides) {
      const path = join(folder, name);
      const run = await bindingOf(path);
      const isPassed = run !== undefined && run.config === config && run.step <= step;
      if (isPassed && (await occupantOf(path)) === "ours") await removeOwned(path);
      else left.push(name);
    }
    asides = left;
  };
};
