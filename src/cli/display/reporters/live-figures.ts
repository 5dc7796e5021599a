import type { TrainEvent } from "../../../runs/events.ts";
import type { CurvePoint } from "../drawing/canvas.ts";
import type { LiveState } from "../drawing/live-frame.ts";
import { lossHistory } from "../drawing/loss-history.ts";
import type { PastLosses } from "../drawing/past-losses.ts";
import { activityAfter } from "./activity.ts";
import type { RunRecord } from "./run-record.ts";

/** Weight of the previous smoothed loss in the next smoothed loss. */
const smoothing = 0.95;

/**
 * Exponential moving average with Adam's bias correction. Without the correction, the first values would be too small.
 */
const smoother = () => {
  let sum = 0;
  let weight = 0;
  return (value: number): number => {
    sum = smoothing * sum + (1 - smoothing) * value;
    weight = smoothing * weight + (1 - smoothing);
    return sum / weight;
  };
};

/** Events that end a phase of work. Other events may come between these events. */
const changesActivity: readonly TrainEvent["type"][] = ["start", "step", "eval", "sample", "checkpoint", "done"];

/** The content of the live display, computed from the events so far. */
export interface LiveFigures {
  /** @param record state of the run after this event. */
  take(event: TrainEvent, record: RunRecord): void;
  /** Call it when the run was asked to stop. */
  interrupt(): void;
  stateOf(record: RunRecord): LiveState;
}

/** @param past losses from before the run was resumed. The curve begins with these losses. */
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
  return {
    take(event, { start }) {
      if (changesActivity.includes(event.type)) activity = activityAfter(start, event, interrupted);
      switch (event.type) {
        case "start":
          step = event.step;
          break;
        case "step":
          ({ step, loss, learningRate } = event);
          smoothedLoss = smooth(loss);
          train.add(step, loss);
          break;
        case "eval":
          validation.push({ step: event.step, loss: event.valLoss });
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
      // After the last step the remaining time is unknown. The activity shows the remaining work.
      secondsLeft: step < start.config.train.steps ? pace.secondsLeft() : undefined,
      activity,
      train: train.points(),
      validation,
    }),
  };
};
