// Shows a training on the page: the curve, the numbers and the samples.
import type { DoneEvent, EvalEvent, RunFiles, SampleEvent, TrainEvent } from "foretoken/browser";
import { createCurve } from "./curve.ts";
import { count, part, promptPart, say, tell } from "./parts.ts";
import { eventsOf, learnsByHeart, parametersOf, positionOf } from "./past.ts";
import { createPace, type Pace, wordsOf } from "./time-left.ts";

const curve = createCurve(part("curve"));
let plannedSteps = 1;
let evalInterval = 1;
/** All evaluations of the run up to this point. */
let measurements: EvalEvent[] = [];
/** The pace of this training. Undefined before the library's estimate and after the training. */
let pace: Pace | undefined;
/** The last measurement of this training, in words. Empty before the first measurement. */
let measured = "";
/** The status line of the training that was shown last. */
let shown = "";

const progress = part<HTMLProgressElement>("progress");
const promptBox = part<HTMLInputElement>("prompt");

const now = (): number => performance.now() / 1000;

/** Shows the last measurement and the time left, if they have changed. Another message stays until then. */
const showStatus = (step: number): void => {
  const [what, comma] = measured === "" ? [`Training to step ${count.format(plannedSteps)}`, ": "] : [measured, ", "];
  const left = pace === undefined || step >= plannedSteps ? "" : comma + wordsOf(pace.secondsLeft());
  const line = `${what}${left}.`;
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
  measured = `Loss ${valLoss.toFixed(2)} on held-out text at step ${count.format(step)}`;
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

/** Says how the training ended. The page writes with the weights of the lowest loss, which may be of an earlier step. */
const endOf = ({ step, reason, bestValLoss, bestStep }: DoneEvent): string => {
  if (bestValLoss === null) return `Stopped at step ${count.format(step)}, before the loss was measured.`;
  const end = reason === "interrupted" ? `Stopped at step ${count.format(step)}` : "Trained";
  const at = bestStep === null || bestStep === step ? "" : `, reached at step ${count.format(bestStep)}`;
  return `${end}: loss ${bestValLoss.toFixed(2)} on held-out text${at}.`;
};

/** Shows an event of the library's `train`. */
export const showTraining = (event: TrainEvent): void => {
  switch (event.type) {
    case "start":
      // The earlier steps of a resumed run are shown already.
      if (event.step === 0) clearFigures();
      showPlan(event.config.train.steps, event.parameters);
      evalInterval = event.config.train.evalInterval;
      [pace, measured, shown] = [undefined, "", ""];
      break;
    case "step":
      pace?.step(event.step, now());
      curve.addStep(event.step, event.loss);
      showStep(event.step);
      showStatus(event.step);
      part("loss").textContent = event.loss.toFixed(3);
      part("speed").textContent = count.format(Math.round(event.tokensPerSecond));
      break;
    case "estimate":
      pace = createPace({ ...event, from: event.step, to: plannedSteps, evalInterval }, now());
      showStatus(event.step);
      break;
    case "eval":
      pace?.measured();
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
      say(`${endOf(event)} You can press Write now.`);
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
