import type { TrainEvent } from "../../../runs/events.ts";
import type { CurvePoint } from "../drawing/canvas.ts";
import type { LiveState } from "../drawing/live-frame.ts";
import { lossHistory } from "../drawing/loss-history.ts";
import type { PastLosses } from "../drawing/past-losses.ts";
import type { RunRecord } from "./run-record.ts";

/** Share of the smoothed loss that remains at each step. */
const smoothing = 0.95;

/** Smoothed as Adam smooths: the first values weigh as much as they should. */
const smoother = () => {
  let sum = 0;
  let weight = 0;
  return (value: number): number => {
    sum = smoothing * sum + (1 - smoothing) * value;
    weight = smoothing * weight + (1 - smoothing);
    return sum / weight;
  };
};

/** Other work of a run after `step`, as far as it is known beforehand. */
const activityAfter = ({ start }: RunRecord, step: number, interrupted: boolean): string | undefined => {
  const { steps, evalInterval } = start.config.train;
  if (interrupted) return "saving";
  return step % evalInterval === 0 || step === steps ? "measuring on the held-out text" : undefined;
};

/** The live display's content, as it follows from the events so far. */
export interface LiveFigures {
  /** @param record of the run, with this event. */
  take(event: TrainEvent, record: RunRecord): void;
  /** The run was asked to stop. */
  interrupt(): void;
  stateOf(record: RunRecord): LiveState;
}

/** @param past of a resumed run: the curve begins with it. */
export const liveFigures = (past?: PastLosses): LiveFigures => {
  const smooth = smoother();
  const train = lossHistory();
  for (const point of past?.train ?? []) train.add(point.step, point.loss);
  const validation: CurvePoint[] = [...(past?.validation ?? [])];
  let step = 0;
  let loss: number | undefined;
  let smoothedLoss: number | undefined;
  let learningRate: number | undefined;
  let activity: string | undefined;
  let interrupted = false;
  let ended = false;
  return {
    take(event, record) {
      switch (event.type) {
        case "start":
          step = event.step;
          break;
        case "step":
          ({ step, loss, learningRate } = event);
          smoothedLoss = smooth(loss);
          activity = activityAfter(record, step, interrupted);
          train.add(step, loss);
          break;
        case "eval":
          activity = { begin: undefined, interval: undefined, end: "writing" }[event.reason];
          validation.push({ step: event.step, loss: event.valLoss });
          break;
        case "checkpoint":
        case "sample":
          activity = undefined;
          break;
        case "done":
          activity = undefined;
          ended = true;
          break;
      }
    },
    interrupt() {
      interrupted = true;
      activity = "finishing the step, then saving";
    },
    stateOf: ({ pace, start }) => ({
      step,
      steps: start.config.train.steps,
      loss,
      smoothedLoss,
      learningRate,
      tokensPerSecond: pace.tokensPerSecond(),
      secondsLeft: ended ? undefined : pace.secondsLeft(),
      activity,
      train: train.points(),
      validation,
    }),
  };
};
