/**
 * Handles a run without its last checkpoint: checks whether the run ever had a checkpoint, and which other checkpoints
 * remain.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { isRecord } from "../core/checks/is-record.ts";
import { CheckpointError } from "../core/errors/errors.ts";
import { quotePath, quoteWord } from "../core/text/shell-word.ts";
import { readJsonLines } from "../io/jsonl.node.ts";
import { folderNames, isResumable, keptName } from "./folder-names.ts";
import { keptSteps } from "./write/kept-checkpoints.node.ts";

/**
 * The newest kept checkpoint in the run's folder `path`. If there is no kept checkpoint, a checkpoint that was set
 * aside.
 */
const keptBeside = async (path: string): Promise<string | undefined> => {
  const [step] = await keptSteps(path);
  if (step !== undefined) return join(path, keptName(step));
  const entries = await readdir(path, { withFileTypes: true });
  const aside = entries.find((entry) => entry.isDirectory() && isResumable(entry.name));
  return aside === undefined ? undefined : join(path, aside.name);
};

/** Whether the run's event log mentions a checkpoint. */
const hasSaved = async (path: string): Promise<boolean> => {
  for await (const line of readJsonLines(join(path, folderNames.metrics))) {
    if (isRecord(line) && line.type === "checkpoint") return true;
  }
  return false;
};

/** A run that has lost its last checkpoint. */
export interface Lost {
  /** Another checkpoint that still exists. Null if there is no other checkpoint. */
  readonly kept: string | null;
}

/** Describes the losses of the run in `path`, which has no last checkpoint. Null if the run never had a checkpoint. */
export const lostOf = async (path: string): Promise<Lost | null> => {
  const kept = await keptBeside(path);
  if (kept !== undefined) return { kept };
  return (await hasSaved(path)) ? { kept: null } : null;
};

/** The last part of an error about a run that has no weights left. */
export const noneLeft = { got: "none: the run has no weights left", hint: "a new run, or restoring them" };

/**
 * Error for a run without `best/` and `checkpoint/` in its folder.
 * @param where the run, as the user named it.
 * @param asModel returns the hint to use a kept checkpoint instead.
 * @param resume the hint to resume the run.
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
  return new CheckpointError({ where, must, got: "only earlier checkpoints", hint: await asModel(lost.kept) });
};
