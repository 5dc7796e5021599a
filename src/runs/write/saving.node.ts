/** Saves a run in its folder. If that is not possible, saves it in another folder. */

import { join } from "node:path";
import { CheckpointError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { isRegularFile } from "../../core/system/regular-file.node.ts";
import { writeCheckpoint } from "../../io/checkpoint.node.ts";
import { replaceFile } from "../../io/files.node.ts";
import type { Binding } from "../../io/manifest.ts";
import { occupantOf } from "../../io/owned-folder.node.ts";
import { holdsAllFiles } from "../../io/read-checkpoint.node.ts";
import { readManifest } from "../../io/read-manifest.node.ts";
import type { ReadValues } from "../../models/arena.ts";
import { descriptionText } from "../description.ts";
import { folderNames } from "../folder-names.ts";
import type { SavedState } from "../store.ts";
import { dropWrittenAgain } from "./best-aside.node.ts";
import { type BestKind, bestAverage, bestKindsOf, bestWeights } from "./best-kinds.ts";
import { checkpointFiles, type RunSubject, weightFiles } from "./checkpoint-files.node.ts";
import { bindingAt, savingElsewhere } from "./elsewhere.node.ts";
import { type HeldCheckpoint, holdCheckpoint, holdFiles } from "./held-files.node.ts";
import { keepBefore, prune } from "./kept-checkpoints.node.ts";
import { naming } from "./naming.node.ts";
import type { Notes } from "./notes.node.ts";
import { isOfDeletion } from "./rescue.node.ts";

/** The folder in which a run is saved. */
export interface SavingPlace {
  /** Path of the folder, as events show it. */
  readonly shown: string;
  /** Absolute path of the folder. */
  readonly path: string;
  readonly notes: Notes;
  /** Whether the path still leads to the folder that was opened. */
  isHere(): Promise<boolean>;
  /** Whether another process now has the folder's lock. */
  isTaken(): Promise<boolean>;
}

/** Saves a run. */
export interface Saving {
  /**
   * Saves a checkpoint and returns its directory. @throws CheckpointError with the folder in which the run is saved
   * instead.
   */
  save(state: SavedState): Promise<string>;
  /** The same as `save`, but never saves in another folder, because nothing is trained yet. */
  saveStart(state: SavedState): Promise<void>;
  /**
   * Saves a run that ends with an error. Resolves to null if the run is saved in its own folder. Otherwise resolves to
   * an error with the folder in which the run is saved.
   */
  saveInNeed(state: SavedState): Promise<CheckpointError | null>;
  saveBest(values: ReadValues, step: number): Promise<void>;
  saveAveraged(values: ReadValues, step: number): Promise<void>;
  /** Replaces the rollback point. `write` writes it into a folder. */
  saveRollback(write: (folder: string) => Promise<void>): Promise<void>;
  /** Writes the rollback point again, if it was deleted. */
  makeRollbackAgain(): Promise<void>;
  close(): Promise<void>;
}

const ignoreSystemError = (error: unknown): void => {
  if (systemErrorCode(error) === undefined) throw error;
};

/**
 * @param known the last checkpoint that this process has found or written.
 * @throws CheckpointError if another process has saved in the folder, because its work must not be replaced.
 */
const checkOwn = async ({ shown, path, isTaken }: SavingPlace, known: Binding | null): Promise<void> => {
  const must = "no other process may save in the run's folder while the run trains";
  if (await isTaken()) {
    throw new CheckpointError({ where: join(shown, folderNames.lock), must, got: "the lock of another process" });
  }
  const found = (await readManifest(join(path, folderNames.checkpoint)))?.run ?? null;
  if (found === null || (found.step === known?.step && found.config === known.config)) return;
  throw new CheckpointError({
    where: join(shown, folderNames.checkpoint),
    must,
    got: `a checkpoint of step ${found.step} from another process`,
  });
};

/** Writes a checkpoint again if some of its files were deleted and no other program uses its name. */
const makeCheckpointAgain = async (folder: string, held: HeldCheckpoint): Promise<void> => {
  const run = await held.run();
  if (run === null || (await holdsAllFiles(folder))) return;
  if (!["nothing", "an empty folder", "ours"].includes(await occupantOf(folder))) return;
  await writeCheckpoint(folder, held.contents(), { run, makeParents: false });
  await held.renew();
};

/** Prepares for saving. From now on, files that could not be written again stay open. */
export const openSaving = async (subject: RunSubject, place: SavingPlace): Promise<Saving> => {
  const { config, keepLast, keptMore = false } = subject;
  const { shown, path, notes, isHere } = place;
  const { text, valText, documents, valDocuments } = folderNames;
  const checkpoint = join(path, folderNames.checkpoint);
  const rollback = join(path, folderNames.rollback);
  const description = join(path, folderNames.description);
  /** These files may be the only copies of texts that a program passed. */
  const texts = await holdFiles(path, [text, valText, documents, valDocuments]);
  const heldBests: { readonly kind: BestKind; readonly held: HeldCheckpoint }[] = [];
  for (const kind of bestKindsOf(config)) heldBests.push({ kind, held: await holdCheckpoint(join(path, kind.name)) });
  const heldRollback = await holdCheckpoint(rollback);
  const elsewhere = savingElsewhere(subject, { path, notes, texts, bests: heldBests, rollback: heldRollback });
  /** The last checkpoint that this process has found or written. */
  let known = (await readManifest(checkpoint))?.run ?? null;

  /** Writes deleted files again: the description, the event log, and weights that are not part of every save. */
  const makeAgain = async (): Promise<void> => {
    if (!(await isRegularFile(description))) {
      await naming(join(shown, folderNames.description), replaceFile(description, descriptionText(subject)));
    }
    await naming(join(shown, folderNames.metrics), notes.makeAgain());
    for (const { kind, held } of heldBests) await makeCheckpointAgain(join(path, kind.name), held);
    await makeCheckpointAgain(rollback, heldRollback);
  };

  const faulty = (got: string): CheckpointError =>
    new CheckpointError({
      where: path,
      must: "the run's folder must not be moved or deleted while the run trains",
      got,
    });
  /**
   * Saves the run in its folder. Resolves to the error if that fails, for example because another program is deleting
   * the folder.
   */
  const faultOfSaving = async (state: SavedState): Promise<CheckpointError | undefined> => {
    const { step } = state.progress;
    const run = bindingAt(step, config);
    const gone = faulty("a deleted or moved folder");
    if (!(await isHere())) return gone;
    try {
      await checkOwn(place, known);
      await makeAgain();
      await naming(join(shown, folderNames.metrics), notes.flush());
      const keep = keepBefore(path, step, keepLast);
      await writeCheckpoint(checkpoint, checkpointFiles(subject, state), { run, keep, makeParents: false });
      known = run;
      // If the run keeps only one checkpoint, other checkpoints in the folder are the user's own copies. If a
      // checkpoint cannot be removed, the next save tries again.
      if (keepLast > 1 || keptMore) await prune(path, step, keepLast, config).catch(ignoreSystemError);
    } catch (error) {
      if (!(await isHere())) return gone;
      if (error instanceof CheckpointError) return error;
      if (systemErrorCode(error) === undefined) throw error;
      const got = error instanceof Error ? error.message : String(error);
      const must = "the run's folder must be writable while the run trains";
      return new CheckpointError({ where: shown, must, got, cause: error });
    }
    if (!(await isHere())) return gone;
    const isWhole = (await isRegularFile(description)) && (await holdsAllFiles(checkpoint));
    return isWhole ? undefined : faulty("files that were deleted while the run wrote them");
  };

  const saveInNeed = async (state: SavedState): Promise<CheckpointError | null> => {
    const first = await faultOfSaving(state);
    // If another program was deleting the folder, it may have finished by now.
    const fault = first !== undefined && isOfDeletion(first) ? await faultOfSaving(state) : first;
    return fault === undefined ? null : elsewhere(state, fault);
  };

  const saveBest = async (kind: BestKind, values: ReadValues, step: number): Promise<void> => {
    if (!(await isHere())) throw faulty("a deleted or moved folder");
    await checkOwn(place, known);
    const run = bindingAt(step, config);
    await writeCheckpoint(join(path, kind.name), weightFiles(subject, values), { run, makeParents: false });
    await heldBests.find((one) => one.kind === kind)?.held.renew();
    await dropWrittenAgain(path, kind).catch(ignoreSystemError);
  };

  return {
    async save(state) {
      const error = await saveInNeed(state);
      if (error !== null) throw error;
      return join(shown, folderNames.checkpoint);
    },
    async saveStart(state) {
      const fault = await faultOfSaving(state);
      if (fault !== undefined) throw fault;
    },
    saveInNeed,
    saveBest: (values, step) => saveBest(bestWeights, values, step),
    saveAveraged: (values, step) => saveBest(bestAverage, values, step),
    async saveRollback(write) {
      await write(rollback);
      await heldRollback.renew();
    },
    makeRollbackAgain: () => makeCheckpointAgain(rollback, heldRollback),
    async close() {
      for (const held of [texts, ...heldBests.map(({ held }) => held), heldRollback]) await held.close();
    },
  };
};
