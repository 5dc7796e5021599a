/** Finds the best weights of a resumed run. Restores them if they are not in `best/`. */

import { createHash } from "node:crypto";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import type { RunConfig } from "../../config/config.ts";
import { openRegularFile } from "../../core/system/regular-file.node.ts";
import { recoverCheckpoint, writeCheckpoint } from "../../io/checkpoint.node.ts";
import { hasCheckpoint } from "../../io/checkpoint-place.node.ts";
import { bytesOfFile, flushFolder } from "../../io/files.node.ts";
import type { Manifest } from "../../io/manifest.ts";
import { occupantOf, removeOwned } from "../../io/owned-folder.node.ts";
import { holdsAllFiles } from "../../io/read-checkpoint.node.ts";
import { readManifest } from "../../io/read-manifest.node.ts";
import { folderNames, keptName } from "../folder-names.ts";
import type { Progress } from "../progress.ts";
import { isOfPlan } from "../same-config.node.ts";
import type { ResumedState } from "../store.ts";
import { asidesIn, setBestAside } from "../write/best-aside.node.ts";
import { type BestKind, bestKindsOf } from "../write/best-kinds.ts";
import { stateFiles } from "../write/state-files.ts";

type OnNotice = (line: string) => void | Promise<void>;

/** The point from which a run is resumed, and the kind of best weights. */
export interface ResumedPoint {
  readonly kind: BestKind;
  readonly progress: Progress;
  /** Folder name of the checkpoint. */
  readonly checkpoint: string;
  /** The run's configuration so far. */
  readonly config: RunConfig;
  /** The configuration with which the run continues. The configuration differs if the run got a new number of steps. */
  readonly next: RunConfig;
}

async function* bytesAt(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  const file = await openRegularFile(path);
  try {
    yield* bytesOfFile(file);
  } finally {
    await file.close();
  }
}

/** Names of the weight files of a checkpoint. */
const weightNames = ({ files }: Manifest): readonly string[] =>
  Object.keys(files).filter((name) => !stateFiles.includes(name));

/** Whether the weight files have the hashes of the manifest. */
const isUndamaged = async (folder: string, manifest: Manifest): Promise<boolean> => {
  for (const name of weightNames(manifest)) {
    const hash = createHash("sha256");
    try {
      for await (const piece of bytesAt(join(folder, name))) hash.update(piece);
    } catch {
      return false;
    }
    if (hash.digest("hex") !== manifest.files[name]?.sha256) return false;
  }
  return true;
};

/** Another place with the best weights: a folder that was set aside, or a checkpoint. */
interface Source {
  readonly kind: "aside" | "checkpoint";
  /** Name of the folder, in the run's folder. */
  readonly name: string;
}

const sourceOf = async (
  folder: string,
  { kind, progress, checkpoint, config }: ResumedPoint,
): Promise<Source | undefined> => {
  const { step } = progress;
  const best = kind.stepOf(progress);
  if (best === null) return undefined;
  for (const { name, path, manifest } of await asidesIn(folder, kind)) {
    if (isOfPlan(manifest.run, best, config) && (await isUndamaged(path, manifest))) return { kind: "aside", name };
  }
  if (!kind.inCheckpoint) return undefined;
  // This checkpoint's files were compared with their hashes when they were read.
  if (best === step && (await readManifest(join(folder, checkpoint))) !== null) {
    return { kind: "checkpoint", name: checkpoint };
  }
  for (const name of [keptName(best), folderNames.checkpoint]) {
    const manifest = await readManifest(join(folder, name));
    if (manifest === null || !isOfPlan(manifest.run, best, config)) continue;
    if (await isUndamaged(join(folder, name), manifest)) return { kind: "checkpoint", name };
  }
  return undefined;
};

/** Whether a run that resumes at `point` will reach these weights at a later step. */
const isAhead = ({ run }: Manifest, { progress: { step }, next }: ResumedPoint): boolean =>
  run !== null && run.step > step && isOfPlan(run, run.step, next);

/**
 * Describes the fault in a state's best weights. Undefined if there is no fault, or if the run will reach better
 * weights again.
 */
const faultOf = async (folder: string, point: ResumedPoint): Promise<string | undefined> => {
  const { kind } = point;
  const best = kind.stepOf(point.progress);
  if (best === null || (await sourceOf(folder, point)) !== undefined) return undefined;
  const path = join(folder, kind.name);
  // Better weights had replaced them. The run reaches the better weights again at a later step.
  if ((await asidesIn(folder, kind)).some(({ manifest }) => isAhead(manifest, point))) return undefined;
  if (!(await hasCheckpoint(path))) return "gone";
  const manifest = await readManifest(path);
  // Without a manifest the files cannot be checked.
  if (manifest === null) return undefined;
  if (!(await holdsAllFiles(path))) return "not whole";
  if (manifest.run === null || isAhead(manifest, point)) return undefined;
  if (manifest.run.step !== best) return `weights of step ${manifest.run.step}`;
  return (await isUndamaged(path, manifest)) ? undefined : "damaged";
};

/**
 * Returns a run's state. If the run's best weights of a kind are lost, the state has no best evaluation of that kind.
 * Then the weights of the next evaluation are kept as the best ones.
 */
export const withoutLostBest = async (
  folder: string,
  state: ResumedState,
  from: Omit<ResumedPoint, "progress" | "kind">,
  onNotice: OnNotice,
): Promise<ResumedState> => {
  let { progress } = state;
  for (const kind of bestKindsOf(from.config)) {
    const fault = await faultOf(folder, { ...from, kind, progress });
    if (fault === undefined) continue;
    await onNotice(`${join(folder, kind.name)}: the ${kind.words} are ${fault}; the next evaluation replaces them`);
    progress = kind.without(progress);
  }
  return { ...state, progress };
};

/** Writes the weights of the checkpoint `from` to `best`. */
const writeFrom = async (from: string, best: string): Promise<void> => {
  const manifest = await readManifest(from);
  if (manifest === null) return;
  const files = Object.fromEntries(weightNames(manifest).map((name) => [name, bytesAt(join(from, name))]));
  await writeCheckpoint(best, files, { ...(manifest.run === null ? {} : { run: manifest.run }), makeParents: false });
};

/**
 * Puts the weights of `source` into their place, if the place is free. Resolves to the name of the checkpoint whose weights
 * were written.
 */
const fill = async (
  folder: string,
  { name }: BestKind,
  source: Source | undefined,
  isDamaged: boolean,
): Promise<string | undefined> => {
  if (source === undefined) return undefined;
  const place = join(folder, name);
  const from = join(folder, source.name);
  if (isDamaged && (await occupantOf(place)) === "ours") await removeOwned(place);
  if ((await occupantOf(place)) !== "nothing") return undefined;
  if (source.kind === "checkpoint") {
    await writeFrom(from, place);
    return source.name;
  }
  await rename(from, place);
  await flushFolder(folder);
  return undefined;
};

/**
 * Puts the best weights of a resumed point into their places. Weights of a later step in a place are set aside.
 * @param shown the folder's path for messages.
 */
export const arrangeBest = async (
  folder: string,
  shown: string,
  point: Omit<ResumedPoint, "kind">,
  onNotice: OnNotice,
): Promise<void> => {
  for (const kind of bestKindsOf(point.config)) await arrange(folder, shown, { ...point, kind }, onNotice);
};

const arrange = async (folder: string, shown: string, point: ResumedPoint, onNotice: OnNotice): Promise<void> => {
  const { kind } = point;
  const { step } = point.progress;
  const best = kind.stepOf(point.progress);
  const place = join(folder, kind.name);
  await recoverCheckpoint(place);
  const manifest = await readManifest(place);
  const found = manifest?.run?.step;
  const isBest = found !== undefined && found === best;
  const isWhole =
    manifest !== null && (await holdsAllFiles(place)) && (!isBest || (await isUndamaged(place, manifest)));
  if (isBest && isWhole) return;
  const source = await sourceOf(folder, point);
  const isOther = found !== undefined && !isBest && (source !== undefined || found > step);
  const returns = found === undefined || found <= step || (manifest !== null && isAhead(manifest, point));
  const aside = isOther ? await setBestAside(folder, shown, step, returns, kind) : undefined;
  const isDamaged = manifest !== null && !isWhole && !isOther;
  const written = await fill(folder, kind, source, isDamaged).catch(async (error: unknown) => {
    await aside?.undo();
    throw error;
  });
  if (aside !== undefined) await onNotice(aside.line);
  if (written !== undefined) {
    await onNotice(`${join(shown, kind.name)}: the ${kind.words} so far, copied from ${written}`);
  }
};
