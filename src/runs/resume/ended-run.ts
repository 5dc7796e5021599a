/** Finds out how a run ended. Completes the log of a run that was stopped or killed before it logged its end. */

import type { RunConfig, TrainConfig } from "../../config/config.ts";
import { type DoneEvent, eventVersion as v } from "../events.ts";
import { parseNoted } from "../noted-events.ts";
import { isEvaluationDue, isOutOfPatience, type Progress } from "../progress.ts";
import type { BrokenOff } from "../store.ts";

/** The entries of a run's log about the step of its checkpoint. */
interface NotesAt {
  /** Validation loss at that step. */
  readonly valLoss: number | undefined;
  readonly sampled: boolean;
  /** Whether the last event is the run's end. */
  readonly ended: boolean;
}

/** A run's event log, one value per line of `metrics.jsonl`. */
export type NotedLines = AsyncIterable<unknown> | Iterable<unknown>;

const notesAt = async (notes: NotedLines, step: number): Promise<NotesAt> => {
  let valLoss: number | undefined;
  let sampled = false;
  let ended = false;
  for await (const line of notes) {
    const event = parseNoted(line);
    if (event === undefined) continue;
    const isHere = event.type !== "start" && event.step === step;
    if (isHere && event.type === "eval") valLoss = event.valLoss;
    if (isHere && event.type === "sample") sampled = true;
    ended = isHere && event.type === "done" && event.reason !== "interrupted";
  }
  return { valLoss, sampled, ended };
};

/** How a run ended by itself. Null if the run has steps left. */
export const endOf = (progress: Progress, train: RunConfig["train"]): "finished" | "patience" | null => {
  if (progress.step >= train.steps) return isEvaluationDue(progress, train) ? null : "finished";
  return isOutOfPatience(progress, train) ? "patience" : null;
};

/** The parts that an ended run still has to write: its last events, and possibly its last sample. */
export interface MissingEnd {
  readonly done: DoneEvent & { readonly valLoss: number };
  /** Whether the last sample is logged. */
  readonly sampled: boolean;
}

/** The last event of an ended run, if it was not logged. Undefined if it was logged or cannot be made. */
export const missingEnd = async (
  notes: NotedLines,
  { step, best, bestAverage }: Progress,
  reason: "finished" | "patience",
  out: string,
): Promise<MissingEnd | undefined> => {
  const { valLoss, sampled, ended } = await notesAt(notes, step);
  if (ended || valLoss === undefined) return undefined;
  const bestValLoss = best?.valLoss ?? valLoss;
  const done = {
    v,
    type: "done",
    task: "train",
    step,
    reason,
    valLoss,
    bestValLoss,
    bestStep: best?.step ?? step,
    ...(bestAverage === undefined ? {} : { bestAverage }),
    out,
  } as const;
  return { done, sampled };
};

/** Whether the sample after a step's evaluation was interrupted. A run that is stopped does not finish its sample. */
export const brokenOff = async (
  notes: NotedLines,
  { step, lossCount, leftOut }: Progress,
  { evalInterval, sampleTokens, steps }: TrainConfig,
): Promise<BrokenOff | undefined> => {
  const isEvaluated = step > 0 && step < steps && step % evalInterval === 0 && lossCount + leftOut === 0;
  if (!isEvaluated || sampleTokens === 0) return undefined;
  const { valLoss, sampled } = await notesAt(notes, step);
  return valLoss === undefined || sampled ? undefined : { sample: true, lastLoss: undefined };
};
