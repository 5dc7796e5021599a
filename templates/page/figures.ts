// Shows a training on the page: the curve, the numbers and the samples.
import type { DoneEvent, EvalEvent, RunFiles, SampleEvent, TrainEvent } from "foretoken/browser";
import { createCurve } from "./curve.ts";
import { count, part, say, tell } from "./parts.ts";
import { eventsOf, learnsByHeart, parametersOf, positionOf } from "./past.ts";

const curve = createCurve(part("curve"));
let plannedSteps = 1;
/** The step at which the training began, or was resumed. */
let firstStep = 0;
/** All evaluations of the run up to this point. */
let measurements: EvalEvent[] = [];
/** True from the beginning of a training until its first step. */
let isFirst = false;

const progress = part<HTMLProgressElement>("progress");
const promptBox = part<HTMLInputElement>("prompt");

const showMeasured = (event: EvalEvent): void => {
  const { step, valLoss, trainLoss } = event;
  measurements.push(event);
  const row = document.createElement("tr");
  for (const value of [step, trainLoss?.toFixed(3) ?? "", valLoss.toFixed(3)]) {
    row.append(Object.assign(document.createElement("td"), { textContent: String(value) }));
  }
  part("table").append(row);
  part("val-loss").textContent = valLoss.toFixed(3);
  part("val-step").textContent = `at step ${step}`;
  const line = `Step ${step} of ${plannedSteps}: loss ${valLoss.toFixed(2)} on held-out text`;
  part("curve").setAttribute("aria-label", `The loss over the steps. ${line}. The table below lists each measurement.`);
  say(`${line}.`);
};

const showSample = ({ step, prompt, text }: SampleEvent): void => {
  const block = document.createElement("div");
  const heading = document.createElement("h3");
  heading.textContent = `After ${step} steps`;
  block.append(
    heading,
    Object.assign(document.createElement("p"), { className: "written", textContent: prompt + text }),
  );
  part("samples").append(block);
};

part("all-samples").addEventListener("click", () => part("samples").classList.add("all"));

const showPlan = (steps: number, parameters: number | undefined): void => {
  plannedSteps = steps;
  curve.extend(steps);
  progress.max = steps;
  part("steps").textContent = `of ${steps}`;
  part("parameters").textContent = parameters === undefined ? "" : `${count.format(parameters)} parameters`;
};

const showStep = (step: number): void => {
  progress.value = step;
  part("step").textContent = String(step);
};

/** Clears the curve, the numbers and the samples for another run. */
const clearFigures = (): void => {
  curve.clear();
  measurements = [];
  part("table").replaceChildren();
  part("samples").replaceChildren();
  for (const id of ["step", "loss", "val-loss", "speed"]) part(id).textContent = "–";
  part("val-step").textContent = "nats per token";
};

const timeOf = (seconds: number): string => {
  if (seconds < 90) return `${Math.ceil(seconds)} seconds`;
  return `${Math.round(seconds / 60)} minutes`;
};

/** Says at which step the best weights were reached, if this training ended without better weights. Otherwise "". */
const foundBefore = ({ reason, bestStep }: DoneEvent): string =>
  reason === "interrupted" || bestStep === null || bestStep > firstStep || firstStep === 0
    ? ""
    : `, reached at step ${bestStep}`;

/** Shows an event of the library's `train`. */
export const showTraining = (event: TrainEvent): void => {
  switch (event.type) {
    case "start":
      // The earlier steps of a resumed run are shown already.
      if (event.step === 0) clearFigures();
      showPlan(event.config.train.steps, event.parameters);
      firstStep = event.step;
      isFirst = true;
      break;
    case "step":
      curve.addStep(event.step, event.loss);
      showStep(event.step);
      if (isFirst) say(`Training to step ${plannedSteps}.`);
      isFirst = false;
      part("loss").textContent = event.loss.toFixed(3);
      part("speed").textContent = count.format(Math.round(event.tokensPerSecond));
      break;
    case "estimate":
      say(`Training to step ${plannedSteps}: about ${timeOf(event.secondsLeft)} left.`);
      break;
    case "eval":
      curve.addMeasured(event.step, event.valLoss);
      showMeasured(event);
      break;
    case "sample":
      showSample(event);
      if (promptBox.value === "") promptBox.value = event.prompt;
      break;
    case "overfitting":
      if (!learnsByHeart(event, measurements)) break;
      tell("news", {
        title: "The model begins to memorize the text.",
        text: "A longer text helps. To write, the page uses the best weights so far.",
      });
      break;
    case "done":
      say(
        event.bestValLoss === null
          ? "Training stopped before the loss was measured. You can press Write now."
          : `${event.reason === "interrupted" ? "Stopped" : "Trained"}: loss ${event.bestValLoss.toFixed(2)} on held-out text${foundBefore(event)}. You can press Write now.`,
      );
  }
};

/** Shows the history of a run. @returns its step and its planned number of steps. */
export const showPast = (run: RunFiles): { readonly step: number; readonly steps: number } => {
  const { step, steps } = positionOf(run);
  clearFigures();
  showPlan(steps, parametersOf(run));
  for (const event of eventsOf(run)) showTraining(event);
  showStep(step);
  return { step, steps };
};
