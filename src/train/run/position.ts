/** Where a run is. Every change of it is a function here. */
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
}

/** Where a run is, and how it came there. */
export interface Position {
  /** Everything of it that is saved. */
  readonly progress: Progress;
  /** The last evaluation, of this process or, if all steps are done, of the one before; null if there is none yet. */
  readonly measured: Measured | null;
  /** Whether there have been too many evaluations without a better loss. */
  readonly outOfPatience: boolean;
  /** Step of the checkpoint that this process wrote last; -1 if none. */
  readonly savedAt: number;
  /** Seconds of this process's steps, those that were left out too, without the first, which also warms up. */
  readonly stepSeconds: readonly number[];
  /** The next step begins: a run that is extended there has its patience anew. */
  beginStep(): void;
  /** The weights were updated. */
  stepped(measured: StepMeasure, seconds: number): void;
  /** The step was left out. */
  leftOut(seconds: number): void;
  /** An evaluation was made. It counts only with `evaluated`: until then, a run that is saved makes up for it. */
  measuredNow(valLoss: number): void;
  /** The last evaluation is noted, and its weights are kept if they are the best. */
  evaluated(isBest: boolean): void;
  /** The `overfitting` event is sent. */
  toldOverfitting(): void;
  /** The checkpoint of this step is written. */
  saved(): void;
}

/** The progress after an evaluation. */
const afterEvaluation = (progress: Progress, { step, valLoss }: Measured, isBest: boolean): Progress => ({
  ...progress,
  lossSum: 0,
  lossCount: 0,
  leftOut: 0,
  best: isBest ? { step, valLoss } : progress.best,
  evalsSinceBest: isBest ? 0 : progress.evalsSinceBest + 1,
});

/** The position that a run begins at, or goes on from. */
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
    measuredNow(valLoss) {
      measured = { step: progress.step, valLoss };
    },
    evaluated(isBest) {
      if (measured === null) throw new Error("nothing was measured");
      progress = afterEvaluation(progress, measured, isBest);
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
