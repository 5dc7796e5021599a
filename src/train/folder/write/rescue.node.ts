/** Saving a run whose folder cannot take it any more: it is deleted or replaced while the run trains, or its disk is full. */
import { rmdir, unlink } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { CheckpointError } from "../../../core/errors.ts";
import { quotePath, quoteWord } from "../../../core/shell-word.ts";
import { systemErrorCode } from "../../../core/system-error.ts";
import { writeCheckpoint } from "../../../io/checkpoint.node.ts";
import { type Contents, makeFolders, replaceFile } from "../../../io/files.node.ts";
import type { Binding } from "../../../io/manifest.ts";
import { folderNames } from "../folder-names.ts";

/**
 * Whether an error of writing comes from a deletion: a file is not there any more that was, or the rest of a checkpoint is
 * not known as one, since its manifest went first.
 */
export const isOfDeletion = (error: unknown): boolean => {
  const isWrapped = error instanceof CheckpointError;
  if (isWrapped && error.cause === undefined) return true;
  return systemErrorCode(isWrapped ? error.cause : error) === "ENOENT";
};

/** A run, to be saved. */
export interface RescuedRun {
  readonly step: number;
  /** Of the whole run. */
  readonly steps: number;
  /** Text of `run.json`. */
  readonly description: string;
  readonly run: Binding;
  /** Files of the last checkpoint. Here and below: asked for again for each place that is tried. */
  readonly checkpoint: () => Readonly<Record<string, Contents>>;
  /** Files of the best weights, and their run; null: there are none. */
  readonly best: { readonly run: Binding; readonly files: () => Readonly<Record<string, Contents>> } | null;
  /** Others, such as notes. */
  readonly others: () => Readonly<Record<string, Contents>>;
}

/** Makes a new folder. Resolves to false if the name is taken. */
const makeNew = async (path: string): Promise<boolean> =>
  makeFolders(path).then(
    (made) => made.includes(path),
    (error: unknown) => {
      if (systemErrorCode(error) === "EEXIST") return false;
      throw error;
    },
  );

/** Writes the run into the folder `refuge`, which is new. */
const writeTo = async (refuge: string, { description, run, checkpoint, best, others }: RescuedRun): Promise<void> => {
  await replaceFile(join(refuge, folderNames.description), description);
  await writeCheckpoint(join(refuge, folderNames.checkpoint), checkpoint(), { run });
  // The run is saved. What is more is worth less than an error here.
  for (const [name, contents] of Object.entries(others())) {
    await replaceFile(join(refuge, name), contents).catch(() => undefined);
  }
  if (best === null) return;
  await writeCheckpoint(join(refuge, folderNames.best), best.files(), { run: best.run }).catch(() => undefined);
};

/** Removes what `writeTo` had begun. */
const removeBegun = async (refuge: string): Promise<void> => {
  await unlink(join(refuge, folderNames.description)).catch(() => undefined);
  await rmdir(refuge).catch(() => undefined);
};

/**
 * Saves a run in a new folder: beside its own, among the system's temporary ones, or in the user's home.
 * @param path of its own folder.
 * @param fault that keeps it from being saved there.
 * @returns the error to end the run with: the fault, and where it is saved.
 */
export const rescued = async (path: string, fault: CheckpointError, subject: RescuedRun): Promise<CheckpointError> => {
  const { step, steps } = subject;
  const { got = "an error" } = fault.details;
  const name = basename(resolve(path));
  for (const place of [resolve(path), join(tmpdir(), name), join(homedir(), name)]) {
    for (let i = 1; i <= 100; i++) {
      const refuge = `${place}-rescued${i === 1 ? "" : `-${i}`}`;
      try {
        // Only a folder that it has made itself.
        if (!(await makeNew(refuge))) continue;
        await writeTo(refuge, subject);
      } catch {
        await removeBegun(refuge);
        break;
      }
      const hint = step < steps ? `resume ${quoteWord(refuge)}` : `npx foretoken generate ${quotePath(refuge)}`;
      return new CheckpointError({ ...fault.details, got: `${got}; saved in ${refuge} instead`, hint });
    }
  }
  return new CheckpointError({ ...fault.details, got: `${got}, and no other place to save in` });
};
