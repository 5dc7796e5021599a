/** A run whose last checkpoint is not in its place: whether it ever was, and what there is instead. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { isRecord } from "../core/checks/is-record.ts";
import { CheckpointError } from "../core/errors/errors.ts";
import { quotePath, quoteWord } from "../core/text/shell-word.ts";
import { readJsonLines } from "../io/jsonl.node.ts";
import { folderNames, isResumable, keptName } from "./folder-names.ts";
import { keptSteps } from "./write/kept-checkpoints.node.ts";

/** The newest checkpoint beside the last one in the run's folder `path`, or one that was set aside. */
const keptBeside = async (path: string): Promise<string | undefined> => {
  const [step] = await keptSteps(path);
  if (step !== undefined) return join(path, keptName(step));
  const entries = await readdir(path, { withFileTypes: true });
  const aside = entries.find((entry) => entry.isDirectory() && isResumable(entry.name));
  return aside === undefined ? undefined : join(path, aside.name);
};

/** Whether the run's notes tell of a checkpoint. */
const hasSaved = async (path: string): Promise<boolean> => {
  for await (const line of readJsonLines(join(path, folderNames.metrics))) {
    if (isRecord(line) && line.type === "checkpoint") return true;
  }
  return false;
};

/** A run's checkpoint that is lost. */
export interface Lost {
  /** A checkpoint that is there; null: none is. */
  readonly kept: string | null;
}

/** What is lost of the run in `path`, whose last checkpoint is not in its place; null: it had none yet. */
export const lostOf = async (path: string): Promise<Lost | null> => {
  const kept = await keptBeside(path);
  if (kept !== undefined) return { kept };
  return (await hasSaved(path)) ? { kept: null } : null;
};

/** A run without any weights, in words of an error. */
export const noneLeft = { got: "none any more: the run has no weights left", hint: "a new run, or restoring them" };

/**
 * Error for a run in whose folder is neither `best/` nor `checkpoint/`.
 * @param where the run, as it was named.
 * @param asModel how a kept checkpoint is named in its place.
 * @param resume how the run is resumed.
 */
export const noWeights = async (
  where: string,
  path: string,
  asModel: (kept: string) => string | Promise<string> = quotePath,
  resume = `npx foretoken train --resume ${quoteWord(path)}`,
): Promise<CheckpointError> => {
  const must = "the run must have a checkpoint";
  const lost = await lostOf(path);
  if (lost === null) return new CheckpointError({ where, must, got: "none yet", hint: resume });
  if (lost.kept === null) return new CheckpointError({ where, must, ...noneLeft });
  return new CheckpointError({ where, must, got: "earlier ones alone", hint: await asModel(lost.kept) });
};
