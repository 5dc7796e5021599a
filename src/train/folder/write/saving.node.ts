/** Saving a run: in its folder, or elsewhere if that cannot be. */
import { join } from "node:path";
import { CheckpointError } from "../../../core/errors.ts";
import { writeCheckpoint } from "../../../io/checkpoint.node.ts";
import { isRegularFile, replaceFile } from "../../../io/files.node.ts";
import type { Binding } from "../../../io/manifest.ts";
import { occupantOf, readManifest } from "../../../io/owned-folder.node.ts";
import { holdsAllFiles } from "../../../io/read-checkpoint.node.ts";
import type { ReadValues } from "../../../models/arena.ts";
import type { SavedState } from "../../run/run-input.ts";
import { descriptionText } from "../description.node.ts";
import { folderNames } from "../folder-names.ts";
import { configHash } from "../same-config.node.ts";
import { openAsides } from "./best-aside.node.ts";
import { checkpointFiles, type RunSubject, weightFiles } from "./checkpoint-files.node.ts";
import { holdCheckpoint, holdFiles } from "./held-files.node.ts";
import { keepBefore, prune } from "./kept-checkpoints.node.ts";
import { naming } from "./naming.node.ts";
import type { Notes } from "./notes.node.ts";
import { isOfDeletion, rescued } from "./rescue.node.ts";

/** A run's folder, to save in. */
export interface SavingPlace {
  /** Its path, as events show it. */
  readonly shown: string;
  /** Its absolute path. */
  readonly path: string;
  readonly notes: Notes;
  /** Whether the folder is still the opened one. */
  isHere(): Promise<boolean>;
}

/** Saves a run. */
export interface Saving {
  /** Returns the checkpoint's directory. @throws CheckpointError that says where the run is saved instead. */
  save(state: SavedState): Promise<string>;
  /** As `save`, but nothing is trained yet that another place could keep. */
  saveStart(state: SavedState): Promise<void>;
  /** Saves in another place, once. Resolves to the error to end the run with. */
  saveElsewhere(state: SavedState, fault: CheckpointError): Promise<CheckpointError>;
  saveBest(values: ReadValues, step: number): Promise<void>;
  close(): Promise<void>;
}

/** What a checkpoint's manifest says of the run. */
export const bindingAt = (step: number, config: unknown): Binding => ({ step, config: configHash(config) });

/** Prepares for saving. Files that nobody could write again are held open from now on. */
export const openSaving = async (subject: RunSubject, place: SavingPlace): Promise<Saving> => {
  const { config, keepLast, keptMore = false } = subject;
  const { shown, path, notes, isHere } = place;
  const { text, valText, documents, valDocuments } = folderNames;
  const checkpoint = join(path, folderNames.checkpoint);
  const best = join(path, folderNames.best);
  const description = join(path, folderNames.description);
  /** Of texts that were given, this may be the only copy. */
  const texts = await holdFiles(path, [text, valText, documents, valDocuments]);
  let heldBest = await holdCheckpoint(best);
  const dropAsides = await openAsides(path);
  /** The last checkpoint of this process. */
  let lastSaved: Binding | undefined;

  /** @throws CheckpointError if another process has saved in the folder: its work is not replaced. */
  const checkOwn = async (): Promise<void> => {
    const found = (await readManifest(checkpoint))?.run ?? null;
    if (lastSaved === undefined || found === null) return;
    if (found.step === lastSaved.step && found.config === lastSaved.config) return;
    throw new CheckpointError({
      where: join(shown, folderNames.checkpoint),
      must: "no other process may save in the run's folder while it trains",
      got: `a checkpoint of step ${found.step} that this one has not written`,
    });
  };
  /** Makes files again that somebody has deleted: the description, the notes, the best weights. */
  const makeAgain = async (): Promise<void> => {
    if (!(await isRegularFile(description))) {
      await naming(join(shown, folderNames.description), replaceFile(description, descriptionText(subject)));
    }
    await naming(join(shown, folderNames.metrics), notes.makeAgain());
    if (heldBest.run === null || (await holdsAllFiles(best))) return;
    if ((await occupantOf(best)) === "nothing") {
      await writeCheckpoint(best, heldBest.contents(), { run: heldBest.run, makeParents: false });
    }
  };

  const faulty = (got: string): CheckpointError =>
    new CheckpointError({ where: path, must: "the run's folder must stay in its place while it trains", got });
  /** Saves in the run's folder. Resolves to what hinders it, such as that somebody deletes it meanwhile. */
  const faultOfSaving = async (state: SavedState): Promise<CheckpointError | undefined> => {
    const { step } = state.progress;
    const run = bindingAt(step, config);
    const gone = faulty("no such folder any more");
    if (!(await isHere())) return gone;
    try {
      await checkOwn();
      await makeAgain();
      await naming(join(shown, folderNames.metrics), notes.flush());
      const keep = keepBefore(path, step, keepLast);
      await writeCheckpoint(checkpoint, checkpointFiles(subject, state), { run, keep, makeParents: false });
      lastSaved = run;
      await dropAsides(run);
      // If only one is kept, others beside it are the user's own copies.
      if (keepLast > 1 || keptMore) await prune(path, step, keepLast);
    } catch (error) {
      if (!(await isHere())) return gone;
      if (error instanceof CheckpointError) return error;
      throw error;
    }
    if (!(await isHere())) return gone;
    const isWhole = (await isRegularFile(description)) && (await holdsAllFiles(checkpoint));
    return isWhole ? undefined : faulty("files that are deleted while they are written");
  };

  /** The best weights, if they can be had: they are those of the state, or held open. */
  const bestOf = ({ progress, weights }: SavedState) => {
    const { step, best: known } = progress;
    if (known?.step === step) {
      return { run: bindingAt(step, config), files: () => weightFiles(subject, weights.read) };
    }
    const { run } = heldBest;
    return run !== null && run.step === known?.step ? { run, files: () => heldBest.contents() } : null;
  };
  let ending: Promise<CheckpointError> | undefined;
  const saveElsewhere = (state: SavedState, fault: CheckpointError): Promise<CheckpointError> => {
    const { progress } = state;
    const bestWeights = bestOf(state);
    // Without them, the next evaluation begins anew.
    const going = bestWeights === null ? { ...progress, best: null, evalsSinceBest: 0 } : progress;
    ending ??= rescued(path, fault, {
      step: progress.step,
      steps: config.train.steps,
      description: descriptionText(subject),
      run: bindingAt(progress.step, config),
      checkpoint: () => checkpointFiles(subject, { ...state, progress: going }),
      best: bestWeights,
      others: () => ({ ...texts.contents(), [folderNames.metrics]: notes.contents() }),
    });
    return ending;
  };

  return {
    async save(state) {
      const first = await faultOfSaving(state);
      // A deletion that went on meanwhile may be over.
      const fault = first !== undefined && isOfDeletion(first) ? await faultOfSaving(state) : first;
      if (fault !== undefined) throw await saveElsewhere(state, fault);
      return join(shown, folderNames.checkpoint);
    },
    async saveStart(state) {
      const fault = await faultOfSaving(state);
      if (fault !== undefined) throw fault;
    },
    saveElsewhere,
    async saveBest(values, step) {
      const run = bindingAt(step, config);
      await writeCheckpoint(best, weightFiles(subject, values), { run, makeParents: false });
      await heldBest.close();
      heldBest = await holdCheckpoint(best);
    },
    async close() {
      await texts.close();
      await heldBest.close();
    },
  };
};
