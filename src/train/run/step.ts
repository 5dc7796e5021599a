/** Takes one step of a run: an update, or a skipped step. */

import { yieldToHost } from "../../core/system/yield.ts";
import { estimateSeconds } from "../../runs/duration.ts";
import {
  type EstimateEvent,
  type NonfiniteEvent,
  type StepEvent,
  type TrainEvent,
  eventVersion as v,
} from "../../runs/events.ts";
import { median } from "../../runs/time-left.ts";
import type { StepMeasure } from "../../trainer/trainer.ts";
import { type Fault, faultOf } from "../faults/faults.ts";
import { recordFault } from "../faults/leave-out.ts";
import { isAborted, note, type Running } from "./running.ts";

/** Number of steps used to estimate a run's time: enough for a median, and few enough to report early. */
const timedSteps = 5;

const secondsSince = (began: number): number => (performance.now() - began) / 1000;

/** Updates the weights by the measured gradient. */
const update = async (
  { trainer, input, position }: Running,
  measured: StepMeasure,
  began: number,
): Promise<StepEvent> => {
  const { step: before } = position.progress;
  const { tokens } = trainer.sizeOf(before);
  const learningRate = await trainer.update(before, measured);
  const seconds = secondsSince(began);
  position.stepped(measured, seconds);
  const { step } = position.progress;
  const { loss, teacherLoss, gradNorm } = measured;
  const tokensPerSecond = tokens / seconds;
  const ofTeachers = teacherLoss === undefined ? {} : { teacherLoss };
  return note(input, { v, type: "step", step, loss, ...ofTeachers, learningRate, gradNorm, tokensPerSecond });
};

/**
 * Records a step that is not finite, or explodes, and continues without it.
 * @param seconds time that the step took until its fault was found.
 * @throws ConfigError if the run must stop.
 */
const leaveOut = async (
  { backend, trainer, rollback, input, position }: Running,
  fault: Fault,
  seconds: number,
): Promise<NonfiniteEvent> => {
  const { progress } = position;
  const { config, store, team } = input;
  const flight = { backend, trainer, config, vocabSize: input.tokenizer.vocabSize, store, team };
  const event = await recordFault(flight, progress, fault);
  await rollback?.goBack(progress.step);
  position.leftOut(seconds);
  return note(input, event);
};

/** Estimates the remaining time. The event is not stored: it depends on the clock and on this process only. */
const estimate = ({ input, trainer, position, lastStep }: Running): EstimateEvent => {
  const { step } = position.progress;
  const prompt = input.documents?.promptIds ?? input.tokenizer.encode(input.prompt);
  const stepSeconds = median(position.stepSeconds) ?? 0;
  const secondsLeft = estimateSeconds(input.config, stepSeconds, {
    step,
    lastStep,
    valTokens: input.val.ids.length,
    promptTokens: prompt.length,
    stepTokens: trainer.sizeOf(step).tokens,
    finalSampleTokens: input.finalSampleTokens,
    machines: input.team.size,
  });
  return { v, type: "estimate", step, timedSteps, stepSeconds, secondsLeft };
};

export async function* takeStep(run: Running): AsyncGenerator<TrainEvent, void, undefined> {
  const { trainer, input, firstStep, lastStep, position } = run;
  const began = performance.now();
  const measured = await trainer.measure(position.progress.step);
  const fault = faultOf(measured, position.progress, input.config.train, input.tokenizer.vocabSize);
  yield fault === undefined ? await update(run, measured, began) : await leaveOut(run, fault, secondsSince(began));
  const { step } = position.progress;
  if (step === firstStep + 1 + timedSteps && step < lastStep && !isAborted(input)) yield estimate(run);
  await yieldToHost();
}
