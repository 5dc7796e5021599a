import type { EvalEvent, SampleEvent, StartEvent, TrainEvent } from "../../../runs/events.ts";
import { keepsBest } from "../../model/best-weights.ts";
import type { InitialLoss, PastLosses } from "../drawing/past-losses.ts";
import type { ToldRun } from "../texts/run-text.ts";
import { createPace, type Pace } from "./pace.ts";

/** The newest event of each kind, and the pace of the run. */
export interface RunRecord {
  readonly start: StartEvent;
  readonly pace: Pace;
  /** Loss of the initial weights. Undefined for random weights. */
  before: InitialLoss | undefined;
  measured: EvalEvent | undefined;
  /** The newest sample, if it has not been shown yet. The summary shows the last sample of the run. */
  sample: SampleEvent | undefined;
  checkpoint: string | undefined;
}

/** Current time in seconds. */
export const now = (): number => performance.now() / 1000;

/** @param past losses from before the run was resumed. */
export const createRecord = (start: StartEvent, past?: PastLosses): RunRecord => ({
  start,
  pace: createPace(start, now()),
  before: past?.initial,
  measured: undefined,
  sample: undefined,
  checkpoint: undefined,
});

/** Records `event`. */
export const takeNote = (record: RunRecord, event: TrainEvent): void => {
  switch (event.type) {
    case "step":
      record.pace.step(event.step, event.tokensPerSecond, now());
      break;
    case "eval":
      if (event.reason === "begin") record.before = event;
      record.measured = event;
      record.pace.measured(now());
      break;
    case "sample":
      record.sample = event;
      record.pace.measured(now());
      break;
    case "checkpoint":
      record.checkpoint = event.path;
      break;
    case "start":
    case "estimate":
    case "overfitting":
    case "nonfinite":
    case "profile":
    case "done":
      break;
  }
};

/**
 * Returns a sample that has not been shown yet, and returns it only once. The function is called when the next step
 * begins. Only then is it certain that the sample is not the last sample of the run.
 */
export const takeSample = (record: RunRecord): SampleEvent | undefined => {
  const { sample } = record;
  record.sample = undefined;
  return sample;
};

export const toldRun = (record: RunRecord, done: ToldRun["done"], seconds: number): ToldRun => ({
  start: record.start,
  done,
  before: record.before,
  measured: record.measured,
  sample: record.sample,
  checkpoint: record.checkpoint,
  keepsBest: done.out !== null && done.bestStep !== null && keepsBest(done.out, done.bestStep),
  seconds,
});
