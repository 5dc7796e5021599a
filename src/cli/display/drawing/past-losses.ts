import { join } from "node:path";
import { isRecord } from "../../../core/checks/is-record.ts";
import { CheckpointError } from "../../../core/errors/errors.ts";
import { readJsonLines } from "../../../io/jsonl.node.ts";
import { folderNames } from "../../../runs/folder-names.ts";
import type { CurvePoint } from "./canvas.ts";
import { lossHistory } from "./loss-history.ts";

/** Losses from before a run was resumed, for its curve. */
export interface PastLosses {
  /** Training loss of every step. */
  readonly train: readonly CurvePoint[];
  /** Validation loss of every evaluation. */
  readonly validation: readonly CurvePoint[];
}

/**
 * Reads the losses in a run's folder. If there are many losses, neighbouring losses are merged. If the file is missing
 * or damaged, only the readable losses are returned.
 */
export const pastLosses = async (folder: string): Promise<PastLosses> => {
  const train = lossHistory();
  const validation = lossHistory();
  try {
    for await (const line of readJsonLines(join(folder, folderNames.metrics))) {
      if (!isRecord(line) || typeof line.step !== "number") continue;
      if (line.type === "step" && typeof line.loss === "number") train.add(line.step, line.loss);
      if (line.type === "eval" && typeof line.valLoss === "number") validation.add(line.step, line.valLoss);
    }
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
  }
  return { train: train.points(), validation: validation.points() };
};
