/** The state of a run: its progress and what was measured and saved. Only functions in this file change the state. */
import type { TrainConfig } from "../../config/config.ts";
import { beforeStep, freshProgress, isOutOfPatience, type Progress } from "../../runs/progress.ts";
import type { StepMeasure } from "../../trainer/trainer.ts";
import { withoutStep, withStep } from "../faults/faults.ts";
import type { RunInput } from "./run-input.ts";

/** An evaluation and the step after which it was made. */
export interface Measured {
  readonly step: number;
  /** Nats per token. */
  readonly valLoss: number;
  /** Nats per token with the averaged weights; undefined if they were not evaluated. */
  readonly averagedLoss?: number | undefined;
}

/** Where a run is, with the functions that move it. */
export interface Position {
  /** The part that is saved. */
  readonly progress: Progress;
  /**
   * The last evaluation of this process; null if there is none yet. A run that resumes with all steps done starts with
   * the last evaluation of an earlier process.
   */
  readonly measured: Measured | null;
  /** Whether too many evaluations in a row brought no lower loss. */
  readonly outOfPatience: boolean;
  /** Step of the last checkpoint of this process; -1 if there is none. */
  readonly savedAt: number;
  /**
   * Seconds of each step of this process, skipped steps included. The first step is left out, because it also warms up.
   */
  readonly stepSeconds: readonly number[];
  /** Begins the next step. If the run was extended from here, its count for `patience` starts again at 0. */
  beginStep(): void;
  /** Records that the weights were updated. */
  stepped(measured: StepMeasure, seconds: number): void;
  /** Records that the step was skipped. */
  leftOut(seconds: number): void;
  /**
   * Records an evaluation. The evaluation counts only after `evaluated` is called: a run that is saved before that
   * repeats the evaluation when it is resumed.
   */
  measuredNow(valLoss: number, averagedLoss: number | undefined): void;
  /**
   * Counts the last evaluation. Called after the event is stored and, if the weights are the best ones, after the
   * weights are kept.
   * @param isBestAverage whether the averaged weights are the best averaged ones.
   */
  evaluated(isBest: boolean, isBestAverage: boolean): void;
  /** Records that the `overfitting` event was sent. */
  toldOverfitting(): void;
  /** Records that the checkpoint of this step was written. */
  saved(): void;
}

/** The progress after an evaluation. */
const afterEvaluation = (
  progress: Progress,
  { step, valLoss, averagedLoss }: Measured,
  isBest: boolean,
  isBestAverage: boolean,
): Progress => ({
  ...progress,
  lossSum: 0,
  lossCount: 0,
  leftOut: 0,
  best: isBest ? { step, valLoss } : progress.best,
  evalsSinceBest: isBest ? 0 : progress.evalsSinceBest + 1,
  ...(isBestAverage && averagedLoss !== undefined ? { bestAverage: { step, valLoss: averagedLoss } } : {}),
});

/** The position at which a run starts or resumes. */
export const firstPosition = (
  { resume, broken }: Pick<RunInput, "resume" | "broken">,
  train: Pick<TrainConfig, "steps" | "extensions" | "patience">,
): Position => {
  let progress = resume?.progress ?? freshProgress;
  const firstStep = progress.step;
  let measured: Measured | null = broken?.lastLoss === undefined ? null : { step: firstStep, valLoss: broken.lastLoss };
  let outOfPatience = false;
  let savedAt = -1;
  const stepSeconds: number[] = [];
  const noteSeconds = (seconds: number): void => {
    if (progress.step > firstStep + 1) stepSeconds.push(seconds);
  };
  return {
    get progress() {
      return progress;
    },
    get measured() {
      return measured;
    },
    get outOfPatience() {
      return outOfPatience;
    },
    get savedAt() {
      return savedAt;
    },
    stepSeconds,
    beginStep() {
      progress = beforeStep(progress, train);
    },
    stepped(measure, seconds) {
      progress = withStep(progress, measure);
      noteSeconds(seconds);
    },
    leftOut(seconds) {
      progress = withoutStep(progress);
      noteSeconds(seconds);
    },
    measuredNow(valLoss, averagedLoss) {
      measured = { step: progress.step, valLoss, averagedLoss };
    },
    evaluated(isBest, isBestAverage) {
      if (measured === null) throw new Error("nothing was measured");
      progress = afterEvaluation(progress, measured, isBest, isBestAverage);
      outOfPatience = isOutOfPatience(progress, train);
    },
    toldOverfitting() {
      progress = { ...progress, overfitting: true };
    },
    saved() {
      savedAt = progress.step;
    },
  };
};
