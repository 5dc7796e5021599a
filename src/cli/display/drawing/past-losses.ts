import { join } from "node:path";
import { isRecord } from "../../../core/checks/is-record.ts";
import { CheckpointError } from "../../../core/errors/errors.ts";
import { readJsonLines } from "../../../io/jsonl.node.ts";
import type { EvalEvent } from "../../../runs/events.ts";
import { folderNames } from "../../../runs/folder-names.ts";
import type { CurvePoint } from "./canvas.ts";
import { lossHistory } from "./loss-history.ts";

/** Loss of the initial weights of a run that begins with another model, on `tokens` tokens. */
export type InitialLoss = Pick<EvalEvent, "valLoss" | "natsPerCharacter" | "bitsPerByte" | "tokens">;

/** Losses from before a run was resumed, for its curve and its summary. */
export interface PastLosses {
  /** Undefined for a run that began with random weights. */
  readonly initial: InitialLoss | undefined;
  /** Training loss of every step. */
  readonly train: readonly CurvePoint[];
  /** Validation loss of every evaluation. */
  readonly validation: readonly CurvePoint[];
}

const isInitial = (line: Readonly<Record<string, unknown>>): line is Readonly<Record<string, unknown>> & InitialLoss =>
  line.type === "eval" &&
  line.reason === "begin" &&
  line.step === 0 &&
  [line.valLoss, line.natsPerCharacter, line.bitsPerByte, line.tokens].every((value) => typeof value === "number");

/**
 * Reads the losses in a run's folder. If there are many losses, neighbouring losses are merged. If the file is missing
 * or damaged, only the readable losses are returned.
 */
export const pastLosses = async (folder: string): Promise<PastLosses> => {
  const train = lossHistory();
  const validation = lossHistory();
  let initial: InitialLoss | undefined;
  try {
    for await (const line of readJsonLines(join(folder, folderNames.metrics))) {
      if (!isRecord(line) || typeof line.step !== "number") continue;
      if (line.type === "step" && typeof line.loss === "number") train.add(line.step, line.loss);
      if (line.type === "eval" && typeof line.valLoss === "number") validation.add(line.step, line.valLoss);
      if (isInitial(line)) initial = line;
    }
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
  }
  return { initial, train: train.points(), validation: validation.points() };
};
