/** Saving a run whose folder is deleted, or replaced, while it trains. */
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { CheckpointError } from "../../core/errors.ts";
import { quotePath, quoteWord } from "../../core/shell-word.ts";
import { systemErrorCode } from "../../core/system-error.ts";
import { writeCheckpoint } from "../../io/checkpoint.node.ts";
import { type Contents, makeFolders, replaceFile } from "../../io/files.node.ts";
import type { Binding } from "../../io/manifest.ts";
import { folderNames } from "./folder-names.ts";

/**
 * Whether an error of writing comes from a deletion: a file is not there any more that was, or the rest of a checkpoint is
 * not known as one, since its manifest went first.
 */
export const isOfDeletion = (error: unknown): boolean => {
  const isWrapped = error instanceof CheckpointError;
  if (isWrapped && error.cause === undefined) return true;
  return systemErrorCode(isWrapped ? error.cause : error) === "ENOENT";
};

/** What is to be saved. */
export interface Saving {
  readonly step: number;
  /** Of the whole run. */
  readonly steps: number;
  /** Text of `run.json`. */
  readonly description: string;
  /** The checkpoint's; asked for again for each place that is tried. */
  readonly files: () => Readonly<Record<string, Contents>>;
  readonly run: Binding;
}

/**
 * Saves a run in a new folder: beside its own, or among the system's temporary ones.
 * @param path of its own folder.
 * @param found there.
 * @returns the error of the run, which says where it is saved.
 */
export const rescued = async (path: string, found: string, saving: Saving): Promise<CheckpointError> => {
  const { step, steps, description, files, run } = saving;
  const must = "the run's folder must stay in its place while it trains";
  for (const place of [resolve(path), join(tmpdir(), basename(resolve(path)))]) {
    for (let i = 1; i <= 100; i++) {
      const refuge = `${place}-rescued${i === 1 ? "" : `-${i}`}`;
      try {
        // Only a folder that it has made itself.
        if (!(await makeFolders(refuge)).includes(refuge)) continue;
        await replaceFile(join(refuge, folderNames.description), description);
        await writeCheckpoint(join(refuge, folderNames.checkpoint), files(), { run });
      } catch {
        break;
      }
      const got = `${found}; saved in ${refuge} instead`;
      const hint = step < steps ? `resume ${quoteWord(refuge)}` : `npx foretoken generate ${quotePath(refuge)}`;
      return new CheckpointError({ where: path, must, got, hint });
    }
  }
  return new CheckpointError({ where: path, must, got: `${found}, and no other place to save in` });
};
