/**
 * Saves a run in another folder if its own folder cannot be used. The folder was deleted or replaced during training,
 * or its disk is full.
 */
import { unlink } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { CheckpointError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { quotePath, quoteWord } from "../../core/text/shell-word.ts";
import { writeCheckpoint } from "../../io/checkpoint.node.ts";
import { type Contents, makeFolders, removeEmptyFolders, replaceFile } from "../../io/files.node.ts";
import type { Binding } from "../../io/manifest.ts";
import { removeOwned } from "../../io/owned-folder.node.ts";
import { folderNames } from "../folder-names.ts";

/**
 * Whether a write failed because another program deleted something: a file that existed is missing, or a checkpoint has
 * lost its manifest and is not recognised.
 */
export const isOfDeletion = (error: unknown): boolean => {
  const isWrapped = error instanceof CheckpointError;
  if (isWrapped && error.cause === undefined) return true;
  return systemErrorCode(isWrapped ? error.cause : error) === "ENOENT";
};

/** Makes the files of a checkpoint. The function is called again for each folder that is tried. */
type Files = () => Readonly<Record<string, Contents>>;

/** A run to save. */
export interface RescuedRun {
  readonly step: number;
  /** Planned number of steps. */
  readonly steps: number;
  /** Text of `run.json`. */
  readonly description: string;
  readonly run: Binding;
  /** Files of the last checkpoint. */
  readonly checkpoint: Files;
  /** Further checkpoints by folder name, such as the best weights. */
  readonly further: Readonly<Record<string, { readonly run: Binding; readonly files: Files }>>;
  /** Other files, such as the event log. */
  readonly others: Files;
}

/**
 * Makes a new folder and its missing parent folders. Resolves to the folders that it made, or to undefined if the name
 * is taken.
 */
const makeNew = async (path: string): Promise<readonly string[] | undefined> =>
  makeFolders(path).then(
    (made) => (made.includes(path) ? made : undefined),
    (error: unknown) => {
      if (systemErrorCode(error) === "EEXIST") return undefined;
      throw error;
    },
  );

/**
 * Writes the run into the new folder `refuge`.
 * @param whole if true, fails if any file cannot be written. If false, fails only if the checkpoint cannot be written.
 * @returns the names of the missing files.
 */
const writeTo = async (refuge: string, subject: RescuedRun, whole: boolean): Promise<readonly string[]> => {
  const missing: string[] = [];
  const tolerate = async (name: string, work: Promise<void>): Promise<void> => {
    try {
      await work;
    } catch (error) {
      if (whole) throw error;
      missing.push(name);
    }
  };
  await replaceFile(join(refuge, folderNames.description), subject.description);
  await writeCheckpoint(join(refuge, folderNames.checkpoint), subject.checkpoint(), { run: subject.run });
  for (const [name, contents] of Object.entries(subject.others())) {
    await tolerate(name, replaceFile(join(refuge, name), contents));
  }
  for (const [name, { run, files }] of Object.entries(subject.further)) {
    await tolerate(name, writeCheckpoint(join(refuge, name), files(), { run }));
  }
  return missing;
};

/** Removes the files that `writeTo` wrote, and the folders that were made for them. */
const removeBegun = async (refuge: string, { further, others }: RescuedRun, made: readonly string[]): Promise<void> => {
  for (const name of [folderNames.checkpoint, ...Object.keys(further)]) {
    await removeOwned(join(refuge, name)).catch(() => undefined);
  }
  for (const name of [folderNames.description, ...Object.keys(others())]) {
    await unlink(join(refuge, name)).catch(() => undefined);
  }
  await removeEmptyFolders(made);
};

/** Maximum number of bytes of a folder's name, on most systems. */
const maxNameBytes = 255;

/** Joins `name` and `ending`. Shortens `name` if the result would be too long. */
const withEnding = (name: string, ending: string): string => {
  let begin = "";
  let bytes = Buffer.byteLength(ending);
  for (const character of name) {
    bytes += Buffer.byteLength(character);
    if (bytes > maxNameBytes) break;
    begin += character;
  }
  return begin + ending;
};

/** Folders to try, in this order. */
function* refugesOf(path: string): Generator<Generator<string>> {
  const name = basename(path);
  for (const place of [dirname(path), tmpdir(), homedir()]) {
    yield (function* () {
      for (let i = 1; i <= 100; i++) yield join(place, withEnding(name, `-rescued${i === 1 ? "" : `-${i}`}`));
    })();
  }
}

/** Saves the run in the first free folder of `refuges`. Resolves to undefined if the run cannot be saved there. */
const saveIn = async (
  refuges: Iterable<string>,
  subject: RescuedRun,
  whole: boolean,
): Promise<{ readonly refuge: string; readonly missing: readonly string[] } | undefined> => {
  for (const refuge of refuges) {
    let made: readonly string[] | undefined;
    try {
      // If the folder was there already, `made` stays undefined, and the folder is not removed.
      made = await makeNew(refuge);
      if (made !== undefined) return { refuge, missing: await writeTo(refuge, subject, whole) };
    } catch {
      if (made !== undefined) await removeBegun(refuge, subject, made);
      return undefined;
    }
  }
  return undefined;
};

/**
 * Saves a run in a new folder: next to its own folder, in the system's temporary folder, or in the user's home folder.
 * A folder in which all files can be written is preferred.
 * @param path the run's own folder.
 * @param fault why the run cannot be saved in its own folder.
 * @returns the error to end the run with. The error contains the fault and the new place of the run.
 */
export const rescued = async (path: string, fault: CheckpointError, subject: RescuedRun): Promise<CheckpointError> => {
  const { step, steps } = subject;
  const { got = "an error" } = fault.details;
  for (const whole of [true, false]) {
    for (const refuges of refugesOf(resolve(path))) {
      const saved = await saveIn(refuges, subject, whole);
      if (saved === undefined) continue;
      const { refuge, missing } = saved;
      const without = missing.length === 0 ? "" : `, without ${missing.join(", ")}, which could not be written`;
      const hint = step < steps ? `resume ${quoteWord(refuge)}` : `npx foretoken generate ${quotePath(refuge)}`;
      return new CheckpointError({ ...fault.details, got: `${got}; saved in ${refuge} instead${without}`, hint });
    }
  }
  return new CheckpointError({ ...fault.details, got: `${got}, and the run could not be saved elsewhere` });
};
