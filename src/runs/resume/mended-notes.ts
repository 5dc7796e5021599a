/** The notes of a run that goes on: those of an uninterrupted one. */

import type { RunConfig } from "../../config/config.ts";
import { isRecord } from "../../core/checks/is-record.ts";
import { eventVersion } from "../events.ts";
import { isEvaluationDue, type Progress } from "../progress.ts";
import type { BrokenOff } from "../store.ts";
import { endOf } from "./ended-run.ts";

/** Whether the checkpoint of `step` is planned, and not the run's last: that one is noted with the end. */
const isPlanned = (step: number, progress: Progress, train: RunConfig["train"]): boolean =>
  step > 0 &&
  step % train.checkpointInterval === 0 &&
  !(step === progress.step && (isEvaluationDue(progress, train) || endOf(progress, train) !== null));

/** Events between a step and its planned checkpoint. */
const afterStep: readonly unknown[] = ["eval", "overfitting", "sample"];

/** Which noted events a run resumed at `step` keeps: the events of an uninterrupted run. */
const belongsBefore = (event: unknown, progress: Progress, train: RunConfig["train"]): boolean =>
  isRecord(event) &&
  typeof event.step === "number" &&
  event.step <= progress.step &&
  event.type !== "done" &&
  event.type !== "failed" &&
  event.reason !== "interrupted" &&
  // The saved run does not know of it: it is measured again.
  !(event.reason === "begin" && progress.step === 0 && progress.best === null) &&
  // They are made again, with the evaluation that is due.
  !(event.step === progress.step && isEvaluationDue(progress, train) && afterStep.includes(event.type)) &&
  // An unplanned checkpoint, or one before its step's evaluation, was written because the run was stopped.
  !(event.type === "checkpoint" && !isPlanned(event.step, progress, train));

/** Says which notes stay, one after the other, and which come after them. */
export interface NotesMender {
  keep(event: unknown): boolean;
  /** Notes to add after all others. */
  more(): readonly unknown[];
  /** Whether the best evaluation was among the notes. */
  hasBest(): boolean;
}

/**
 * The notes of a run that continues at `progress`. If a process was killed between a checkpoint and its note, the note is
 * added.
 * @param checkpoint the path in that note.
 */
export const notesMender = (
  progress: Progress,
  train: RunConfig["train"],
  broken: BrokenOff | undefined,
  checkpoint: string,
): NotesMender => {
  const { step, best } = progress;
  // After a repeated sample the checkpoint is written and noted again: in the order of all runs.
  const isLater = broken?.sample === true;
  let noted = step === 0 || isLater || !isPlanned(step, progress, train);
  let kept = false;
  let hasBest = best === null;
  return {
    keep(event) {
      if (!belongsBefore(event, progress, train)) return false;
      if (isRecord(event) && event.type === "eval" && event.step === best?.step) hasBest = true;
      if (!isRecord(event) || event.type !== "checkpoint" || event.step !== step) return true;
      // A resumption that was stopped before its first step has written it again.
      if (isLater || kept) return false;
      kept = true;
      noted = true;
      return true;
    },
    more: () => (noted ? [] : [{ v: eventVersion, type: "checkpoint", step, path: checkpoint }]),
    hasBest: () => hasBest,
  };
};
