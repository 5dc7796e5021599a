/** Repairs the event log of a resumed run, so that it equals the log of an uninterrupted run. */

import type { RunConfig } from "../../config/config.ts";
import { isRecord } from "../../core/checks/is-record.ts";
import { eventVersion } from "../events.ts";
import { isEvaluationDue, type Progress } from "../progress.ts";
import type { BrokenOff } from "../store.ts";
import { endOf } from "./ended-run.ts";

/**
 * Whether the checkpoint of `step` is a planned checkpoint before the run's end. The last checkpoint is logged with the
 * end of the run.
 */
const isPlanned = (step: number, progress: Progress, train: RunConfig["train"]): boolean =>
  step > 0 &&
  step % train.checkpointInterval === 0 &&
  !(step === progress.step && (isEvaluationDue(progress, train) || endOf(progress, train) !== null));

/** Types of events that are logged between a step and its planned checkpoint. */
const afterStep: readonly unknown[] = ["eval", "overfitting", "sample"];

/**
 * Whether a run that resumes at `progress` keeps the event. The run keeps the events that an uninterrupted run would
 * have logged.
 */
const belongsBefore = (event: unknown, progress: Progress, train: RunConfig["train"]): boolean =>
  isRecord(event) &&
  typeof event.step === "number" &&
  event.step <= progress.step &&
  event.type !== "done" &&
  event.type !== "failed" &&
  event.reason !== "interrupted" &&
  // The saved state does not include this evaluation, so the run evaluates again.
  !(event.reason === "begin" && progress.step === 0 && progress.best === null) &&
  // The run sends these events again with the missing evaluation.
  !(event.step === progress.step && isEvaluationDue(progress, train) && afterStep.includes(event.type)) &&
  // A checkpoint was written only because the run was stopped, if it is not planned or came before its step's
  // evaluation.
  !(event.type === "checkpoint" && !isPlanned(event.step, progress, train));

/** Decides for each event whether it stays. At the end, returns the events to add. */
export interface NotesMender {
  keep(event: unknown): boolean;
  /** Events to add at the end. */
  more(): readonly unknown[];
  /** Whether the best evaluation was in the log. */
  hasBest(): boolean;
}

/**
 * Repairs the event log of a run that resumes at `progress`. If a process was killed after a checkpoint and before its
 * event was logged, the event is added.
 * @param checkpoint path for the added event.
 */
export const notesMender = (
  progress: Progress,
  train: RunConfig["train"],
  broken: BrokenOff | undefined,
  checkpoint: string,
): NotesMender => {
  const { step, best } = progress;
  // If the run repeats the sample, it then writes and logs the checkpoint of this step again, as in every run.
  const isLater = broken?.sample === true;
  let noted = step === 0 || isLater || !isPlanned(step, progress, train);
  let kept = false;
  let hasBest = best === null;
  return {
    keep(event) {
      if (!belongsBefore(event, progress, train)) return false;
      if (isRecord(event) && event.type === "eval" && event.step === best?.step) hasBest = true;
      if (!isRecord(event) || event.type !== "checkpoint" || event.step !== step) return true;
      // The event may be there twice, if a resumed run was stopped before its first step and logged it again.
      if (isLater || kept) return false;
      kept = true;
      noted = true;
      return true;
    },
    more: () => (noted ? [] : [{ v: eventVersion, type: "checkpoint", step, path: checkpoint }]),
    hasBest: () => hasBest,
  };
};
