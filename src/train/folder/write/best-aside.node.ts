/**
 * Best weights from after the point that a run goes on from: it was ended before its next checkpoint, or an earlier one is
 * resumed. They are better than what the run has there, so they are set aside until it has come as far again.
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
 * Sets the best weights of the run in `folder` aside; of the same step and plan once, however often the run goes back.
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
  const run = await bindingOf(best);
  const step = run?.step;
  for (const name of await asidesIn(folder)) {
    const other = await bindingOf(join(folder, name));
    if (run === undefined || other?.step !== step || other?.config !== run.config) continue;
    await removeOwned(best);
    return;
  }
  let i = 1;
  while ((await occupantOf(join(folder, asideName(i)))) !== "nothing") i++;
  await rename(best, join(folder, asideName(i)));
  await flushFolder(folder);
  const of = step === undefined ? "" : `, of step ${step}`;
  const path = join(shown, asideName(i));
  await onNotice(`${path}: the best weights from after this point${of}, kept until the run has come as far again`);
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
