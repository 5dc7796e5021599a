// Shows a training on the page: the curve, the numbers and the samples.
import type { DoneEvent, EvalEvent, RunFiles, SampleEvent, TrainEvent } from "foretoken/browser";
import { createCurve } from "./curve.ts";
import { count, part, promptPart, say, tell } from "./parts.ts";
import { eventsOf, learnsByHeart, parametersOf, positionOf } from "./past.ts";
import { type Pace, secondsLeft, wordsOf } from "./time-left.ts";

const curve = createCurve(part("curve"));
let plannedSteps = 1;
/** The step at which the training began, or was resumed. */
let firstStep = 0;
/** All evaluations of the run up to this point. */
let measurements: EvalEvent[] = [];
/** The pace of this training, and when it was estimated. Undefined before the estimate and after the training. */
let pace: (Pace & { readonly since: number }) | undefined;
/** The last measurement of this training, in words. Empty before the first measurement. */
let measured = "";
/** The status line of the training that was shown last. */
let shown = "";

const progress = part<HTMLProgressElement>("progress");
const promptBox = part<HTMLInputElement>("prompt");

/** The time left after `comma`, or "" if it is not known. */
const leftAt = (step: number, comma: string): string => {
  if (pace === undefined || step >= pace.to) return "";
  const isMeasured = (measurements.at(-1)?.step ?? 0) > pace.from;
  return comma + wordsOf(secondsLeft(pace, step, (performance.now() - pace.since) / 1000, isMeasured));
};

/** Shows the last measurement and the time left, if they have changed. Another message stays until then. */
const showStatus = (step: number): void => {
  const [what, comma] = measured === "" ? [`Training to step ${count.format(plannedSteps)}`, ": "] : [measured, ", "];
  const line = `${what}${leftAt(step, comma)}.`;
  if (line !== shown) say(line);
  shown = line;
};

const showMeasured = (event: EvalEvent): void => {
  const { step, valLoss, trainLoss } = event;
  measurements.push(event);
  const row = document.createElement("tr");
  for (const textContent of [count.format(step), trainLoss?.toFixed(3) ?? "", valLoss.toFixed(3)]) {
    row.append(Object.assign(document.createElement("td"), { textContent }));
  }
  part("table").append(row);
  part("val-loss").textContent = valLoss.toFixed(3);
  part("val-step").textContent = `at step ${count.format(step)}`;
  measured = `Step ${count.format(step)} of ${count.format(plannedSteps)}: loss ${valLoss.toFixed(2)} on held-out text`;
  part("curve").setAttribute(
    "aria-label",
    `The loss over the steps. ${measured}. The table below lists each measurement.`,
  );
  showStatus(step);
};

const showSample = ({ step, prompt, text }: SampleEvent): void => {
  const block = document.createElement("div");
  const heading = document.createElement("h3");
  heading.textContent = `After ${count.format(step)} steps`;
  const written = document.createElement("p");
  written.className = "written";
  written.append(promptPart(prompt), text);
  block.append(heading, written);
  part("samples").append(block);
};

part("all-samples").addEventListener("click", () => part("samples").classList.add("all"));

const showPlan = (steps: number, parameters: number | undefined): void => {
  plannedSteps = steps;
  curve.extend(steps);
  progress.max = steps;
  part("steps").textContent = `of ${count.format(steps)}`;
  part("parameters").textContent = parameters === undefined ? "" : `${count.format(parameters)} parameters`;
};

const showStep = (step: number): void => {
  progress.value = step;
  part("step").textContent = count.format(step);
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

/** Says at which step the best weights were reached, if this training ended without better weights. Otherwise "". */
const foundBefore = ({ reason, bestStep }: DoneEvent): string =>
  reason === "interrupted" || bestStep === null || bestStep > firstStep || firstStep === 0
    ? ""
    : `, reached at step ${count.format(bestStep)}`;

/** Shows an event of the library's `train`. */
export const showTraining = (event: TrainEvent): void => {
  switch (event.type) {
    case "start":
      // The earlier steps of a resumed run are shown already.
      if (event.step === 0) clearFigures();
      showPlan(event.config.train.steps, event.parameters);
      firstStep = event.step;
      [pace, measured, shown] = [undefined, "", ""];
      break;
    case "step":
      curve.addStep(event.step, event.loss);
      showStep(event.step);
      showStatus(event.step);
      part("loss").textContent = event.loss.toFixed(3);
      part("speed").textContent = count.format(Math.round(event.tokensPerSecond));
      break;
    case "estimate":
      pace = { from: event.step, to: plannedSteps, estimated: event.secondsLeft, since: performance.now() };
      showStatus(event.step);
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
      pace = undefined;
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
  pace = undefined;
  showPlan(steps, parametersOf(run));
  for (const event of eventsOf(run)) showTraining(event);
  showStep(step);
  return { step, steps };
};
