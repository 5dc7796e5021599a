// What the page shows, and what its controls do. main.js says what is trained.
import { createCurve } from "./curve.js";
import { findObstacles } from "./obstacles.js";

/**
 * The element with this id.
 * @returns {any}
 */
const part = (id) => document.getElementById(id);

const say = (line) => {
  part("status").textContent = line;
};

/** A message at the top of the page, read out at once. `kind`: "lasting", or "news" or "error" until the next run. */
const tell = (kind, title, text) => {
  const notice = document.createElement("div");
  const heading = document.createElement("strong");
  heading.textContent = title;
  notice.className = `notice ${kind}`;
  notice.append(heading, ` ${text}`);
  part("notices").append(notice);
};

/** An error in the page's own words, if it is one that a visitor can mend: the library's are for programs. */
const tellError = (error) => {
  const unknown = error.details?.characters ?? [];
  if (unknown.length === 0) {
    tell("error", "That did not work.", error.message);
    return;
  }
  const listed = unknown.map((character) => `“${character}”`).join(" ");
  tell("error", `The model never saw ${listed}.`, "Leave that out, or train on a text that has it.");
};

const obstacles = findObstacles(globalThis);
/** The library's backend that works in this page: "wasm", or "reference", which is slow. */
export const backend = obstacles.length === 0 ? "wasm" : "reference";
const isStopped = obstacles.some(({ stops }) => stops);

part("unserved").remove();
for (const { title, text } of obstacles) tell("lasting", `${title}.`, text);
part("train").disabled = isStopped;

// The text: an example, a file, or whatever is typed.

const count = new Intl.NumberFormat("en");

const showSize = () => {
  const { value } = part("text");
  part("size").textContent = `${count.format(value.length)} characters, ${new Set(value).size} of them different`;
};

const setText = (text) => {
  part("text").value = text;
  showSize();
};

const openFile = async (file) => {
  if (file === undefined) return;
  setText(await file.text());
  say(`Opened ${file.name}.`);
};

part("text").addEventListener("input", showSize);
part("file").addEventListener("change", () => openFile(part("file").files[0]));
part("text").addEventListener("dragover", (event) => event.preventDefault());
part("text").addEventListener("drop", (event) => {
  if (event.dataTransfer.files.length === 0) return;
  event.preventDefault();
  openFile(event.dataTransfer.files[0]);
});

const loadExample = async () => {
  const response = await fetch("text.txt");
  // Meanwhile somebody may have begun to type.
  if (response.ok && part("text").value === "") setText(await response.text());
};
loadExample().catch(() => say("The example could not be loaded: paste a text of your own."));

// The two buttons. While one is at work it reads "Stop", and the other one waits.

/** @type {AbortController | undefined} */
let atWork;
let isTrained = false;

const showButtons = () => {
  part("train").disabled = isStopped || (atWork !== undefined && part("train").textContent !== "Stop");
  part("write").disabled = !isTrained || (atWork !== undefined && part("write").textContent !== "Stop");
};

/** Does `work` until it ends or the button is pressed again. */
const press = async (button, work) => {
  if (atWork !== undefined) {
    atWork.abort();
    return;
  }
  const name = button.textContent;
  atWork = new AbortController();
  button.textContent = "Stop";
  part("notices").replaceChildren(...part("notices").querySelectorAll(".lasting"));
  showButtons();
  try {
    await work(atWork.signal);
  } catch (error) {
    say("");
    tellError(error);
  } finally {
    atWork = undefined;
    button.textContent = name;
    showButtons();
  }
};

addEventListener("keydown", ({ key }) => {
  if (key === "Escape") atWork?.abort();
});

/** Calls `work` with the text and a signal to stop, when a model is to be trained. */
export const onTrain = (work) => {
  part("train").addEventListener("click", () =>
    press(part("train"), async (signal) => {
      say("Training begins…");
      await work(part("text").value, signal);
      isTrained = true;
    }),
  );
  showButtons();
};

/** Calls `work` with the prompt and a signal to stop, when text is to be written. */
export const onWrite = (work) => {
  part("writing").addEventListener("submit", (event) => {
    event.preventDefault();
    press(part("write"), async (signal) => {
      part("written").replaceChildren(part("prompt").value);
      part("written").setAttribute("aria-busy", "true");
      try {
        await work(part("prompt").value, signal);
      } catch (error) {
        part("written").replaceChildren();
        throw error;
      } finally {
        part("written").setAttribute("aria-busy", "false");
      }
    });
  });
};

// Events of a run and of writing, as the library has them.

const curve = createCurve(part("curve"));
let plannedSteps = 1;

const showMeasured = ({ step, valLoss, trainLoss }) => {
  const row = document.createElement("tr");
  for (const value of [step, trainLoss?.toFixed(3) ?? "", valLoss.toFixed(3)]) {
    row.append(Object.assign(document.createElement("td"), { textContent: String(value) }));
  }
  part("table").append(row);
  const line = `Step ${step} of ${plannedSteps}: loss ${valLoss.toFixed(2)} on text it has not seen`;
  part("curve").setAttribute("aria-label", `The loss over the steps. ${line}. The table below has each measurement.`);
  say(`${line}.`);
};

const showSample = ({ step, prompt, text }) => {
  const block = document.createElement("div");
  const heading = document.createElement("h3");
  heading.textContent = `After ${step} steps`;
  block.append(heading, Object.assign(document.createElement("pre"), { textContent: prompt + text }));
  part("samples").append(block);
};

/** Shows an event of the library's `train`. */
export const showTraining = (event) => {
  switch (event.type) {
    case "start":
      plannedSteps = event.config.train.steps;
      curve.begin(plannedSteps);
      part("progress").max = plannedSteps;
      part("table").replaceChildren();
      part("samples").replaceChildren();
      part("parameters").textContent = count.format(event.parameters);
      break;
    case "step":
      curve.addStep(event.step, event.loss);
      part("progress").value = event.step;
      part("loss").textContent = event.loss.toFixed(3);
      part("speed").textContent = count.format(Math.round(event.tokensPerSecond));
      part("step").textContent = `${event.step} of ${plannedSteps}`;
      break;
    case "eval":
      curve.addMeasured(event.step, event.valLoss);
      showMeasured(event);
      break;
    case "sample":
      showSample(event);
      if (part("prompt").value === "") part("prompt").value = event.prompt;
      break;
    case "overfitting":
      tell(
        "news",
        "The model begins to learn the text by heart.",
        "A longer text helps. Writing uses the best weights so far.",
      );
      break;
    case "done":
      say(
        event.bestValLoss === null
          ? "Stopped before its loss was measured. Now let it write."
          : `${event.reason === "interrupted" ? "Stopped" : "Trained"}: loss ${event.bestValLoss.toFixed(2)} on text it has not seen. Now let it write.`,
      );
  }
};

/** Shows an event of `generate`: text as it comes. */
export const showWriting = (event) => {
  if (event.type === "token") part("written").append(event.text);
};
