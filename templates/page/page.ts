// What the page shows, and what its controls do. main.ts says what is trained.
import {
  type EvalEvent,
  ForetokenError,
  type GenerateEvent,
  type RunFiles,
  type SampleEvent,
  type TrainEvent,
} from "foretoken/browser";
import { createCurve } from "./curve.ts";
import { download, eventsOf, openFolder, positionOf, readKept, writeKept } from "./kept.ts";
import { findObstacles } from "./obstacles.ts";

/** The element of index.html with this id. */
const part = <Kind extends Element = HTMLElement>(id: string): Kind => document.querySelector(`#${id}`) as Kind;

const textBox = part<HTMLTextAreaElement>("text");
const fileInput = part<HTMLInputElement>("file");
const trainButton = part<HTMLButtonElement>("train");
const goOnButton = part<HTMLButtonElement>("go-on");
const downloadButton = part<HTMLButtonElement>("download");
const folderInput = part<HTMLInputElement>("folder");
const progress = part<HTMLProgressElement>("progress");
const promptBox = part<HTMLInputElement>("prompt");
const writeButton = part<HTMLButtonElement>("write");
const written = part("written");

const say = (line: string): void => {
  part("status").textContent = line;
};

/** A message at the top of the page, read out at once. `kind`: "lasting", or "news" or "error" until the next run. */
const tell = (kind: "lasting" | "news" | "error", title: string, text: string): void => {
  const notice = document.createElement("div");
  const heading = document.createElement("strong");
  heading.textContent = title;
  notice.className = `notice ${kind}`;
  notice.append(heading, ` ${text}`);
  part("notices").append(notice);
};

/** An error in the page's own words, if it is one that a visitor can mend: the library's are for programs. */
const tellError = (error: unknown): void => {
  if (error instanceof ForetokenError && error.details.where === "text") {
    tell("error", "The run has learned another text.", "Put that one back, or press Train for a new run.");
    return;
  }
  const where = error instanceof ForetokenError ? error.details.where : "";
  if (where.endsWith(" split") || (where === "tokenizer" && textBox.value === "")) {
    tell(
      "error",
      "The text is too short.",
      "Paste at least a few hundred characters; with a page or more it learns to write.",
    );
    return;
  }
  const unknown = error instanceof ForetokenError ? (error.details.characters ?? []) : [];
  if (unknown.length === 0) {
    tell("error", "That did not work.", error instanceof Error ? error.message : String(error));
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
trainButton.disabled = isStopped;

// The text: an example, a file, or whatever is typed.

const count = new Intl.NumberFormat("en");

const showSize = (): void => {
  const { value } = textBox;
  part("size").textContent = `${count.format(value.length)} characters, ${new Set(value).size} of them different`;
  showButtons();
};

const setText = (text: string): void => {
  textBox.value = text;
  showSize();
};

const openFile = async (file: File | undefined): Promise<void> => {
  if (file === undefined) return;
  setText(await file.text());
  say(`Opened ${file.name}.`);
};

/** Whether somebody has typed: nothing comes into the box by itself any more. */
let isTyped = false;
textBox.addEventListener("input", () => {
  isTyped = true;
  showSize();
});
fileInput.addEventListener("change", () => openFile(fileInput.files?.[0]));
textBox.addEventListener("dragover", (event) => event.preventDefault());
textBox.addEventListener("drop", (event) => {
  const file = event.dataTransfer?.files[0];
  if (file === undefined) return;
  event.preventDefault();
  openFile(file);
});

const loadExample = async (): Promise<void> => {
  const response = await fetch(new URL("./text.txt", import.meta.url));
  // Meanwhile somebody may have begun to type.
  if (response.ok && textBox.value === "") setText(await response.text());
};
loadExample().catch(() => say("The example could not be loaded: paste a text of your own."));

// The buttons. While one is at work it reads "Stop", and the others wait.

let atWork: AbortController | undefined;
let isTrained = false;
/** The run that can go on: trained here, kept by the browser, or opened. */
let run: RunFiles | undefined;
/** The text box as it showed the run's text: it turns each kind of line end into one. */
let shownText: string | undefined;

const showButtons = (): void => {
  const waits = (button: HTMLButtonElement): boolean => atWork !== undefined && button.textContent !== "Stop";
  trainButton.disabled = isStopped || waits(trainButton);
  goOnButton.disabled = isStopped || run === undefined || waits(goOnButton);
  writeButton.disabled = !isTrained || waits(writeButton);
  // What one would do next: a changed text begins a new run.
  const isLearned = run !== undefined && textBox.value === shownText;
  for (const [button, isNext] of [
    [trainButton, !isLearned],
    [goOnButton, isLearned],
    [writeButton, true],
  ] as const) {
    button.classList.toggle("primary", isNext && button.textContent !== "Stop");
  }
  downloadButton.disabled = run === undefined;
  folderInput.disabled = atWork !== undefined;
};

/** Does `work` until it ends or the button is pressed again. */
const press = async (button: HTMLButtonElement, work: (signal: AbortSignal) => Promise<void>): Promise<void> => {
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

/** A run that goes on. */
export interface BegunRun extends RunFiles {
  /** All its steps from now on: as many as planned, or more if they are done. */
  readonly steps: number;
}

/** What a model learns: the text of the page, or what a run began with. */
export type Data = Pick<RunFiles, "text" | "valText" | "documents" | "valDocuments">;

/** What the run began with, unless the text was changed since. */
const dataOf = ({ text, valText, documents, valDocuments }: RunFiles): Data =>
  textBox.value === shownText ? { text, valText, documents, valDocuments } : { text: textBox.value };

/** Calls `work` with the text, the run that goes on, if one does, and a signal to stop, when a model is to be trained. */
export const onTrain = (
  work: (data: Data, begun: BegunRun | undefined, signal: AbortSignal) => Promise<void>,
): void => {
  trainButton.addEventListener("click", () =>
    press(trainButton, async (signal) => {
      say("Training begins…");
      shownText = textBox.value;
      await work({ text: textBox.value }, undefined, signal);
      isTrained = true;
    }),
  );
  goOnButton.addEventListener("click", () =>
    press(goOnButton, async (signal) => {
      if (run === undefined) return;
      const { step, steps } = showPast(run);
      const all = step < steps ? steps : step + 400;
      say(`Training goes on, for ${all - step} more steps…`);
      await work(dataOf(run), { ...run, steps: all }, signal);
      isTrained = true;
    }),
  );
  showButtons();
};

/** Keeps a run in the browser. Where that fails, the training goes on. */
export const keep = async (next: RunFiles): Promise<void> => {
  run = next;
  try {
    await writeKept(next);
  } catch (error) {
    if (document.querySelector(".notice.unkept") !== null) return;
    tell("news", "The browser could not keep the run.", error instanceof Error ? error.message : String(error));
    document.querySelector(".notice:last-child")?.classList.add("unkept");
  }
};

downloadButton.addEventListener("click", () => {
  if (run !== undefined) download(run);
});

/** Shows the text of a run. One that learns documents has none to show. */
const showText = ({ text, documents }: RunFiles): void => {
  setText(documents === undefined ? (text ?? "") : "");
  textBox.placeholder = documents === undefined ? "" : "This run learns documents.";
  shownText = textBox.value;
};

/** Calls `work` with a run that the browser has kept, or whose folder is opened. */
export const onOpen = (work: (run: RunFiles) => Promise<void>): void => {
  const open = async (next: RunFiles, where: string): Promise<void> => {
    const { step, steps } = showPast(next);
    await work(next);
    run = next;
    isTrained = true;
    say(`${where}: step ${step} of ${steps}. Go on, or let it write.`);
    showButtons();
  };
  const openKept = async (): Promise<void> => {
    const kept = await readKept();
    if (kept === null || atWork !== undefined) return;
    if (!isTyped) showText(kept);
    await open(kept, "Kept by your browser");
  };
  openKept().catch((error: Error) => tell("lasting", "A reload will lose what the model learns.", error.message));
  folderInput.addEventListener("change", () => {
    const { files } = folderInput;
    if (files === null || files.length === 0) return;
    openFolder(files, textBox.value)
      .then((next) => {
        showText(next);
        return open(next, "Opened");
      })
      .then(async () => {
        if (run !== undefined) await keep(run);
      })
      .catch(tellError)
      .finally(() => {
        folderInput.value = "";
      });
  });
};

/** Calls `work` with the prompt and a signal to stop, when text is to be written. */
export const onWrite = (work: (prompt: string, signal: AbortSignal) => Promise<void>): void => {
  part("writing").addEventListener("submit", (event) => {
    event.preventDefault();
    press(writeButton, async (signal) => {
      const prompt = document.createElement("span");
      prompt.className = "prompt";
      prompt.textContent = promptBox.value;
      written.replaceChildren(prompt);
      written.setAttribute("aria-busy", "true");
      try {
        await work(promptBox.value, signal);
      } catch (error) {
        written.replaceChildren();
        throw error;
      } finally {
        written.setAttribute("aria-busy", "false");
      }
    });
  });
};

// Events of a run and of writing, as the library has them.

const curve = createCurve(part("curve"));
let plannedSteps = 1;

const showMeasured = ({ step, valLoss, trainLoss }: EvalEvent): void => {
  const row = document.createElement("tr");
  for (const value of [step, trainLoss?.toFixed(3) ?? "", valLoss.toFixed(3)]) {
    row.append(Object.assign(document.createElement("td"), { textContent: String(value) }));
  }
  part("table").append(row);
  part("val-loss").textContent = valLoss.toFixed(3);
  part("val-step").textContent = `at step ${step}`;
  const line = `Step ${step} of ${plannedSteps}: loss ${valLoss.toFixed(2)} on text it has not seen`;
  part("curve").setAttribute("aria-label", `The loss over the steps. ${line}. The table below has each measurement.`);
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

/** Shows what has happened in a run so far. @returns its last step, and all that are planned. */
const showPast = (past: RunFiles): { readonly step: number; readonly steps: number } => {
  for (const event of eventsOf(past)) showTraining(event);
  return positionOf(past);
};

/** Shows an event of the library's `train`. */
export const showTraining = (event: TrainEvent): void => {
  switch (event.type) {
    case "start":
      plannedSteps = event.config.train.steps;
      progress.max = plannedSteps;
      part("steps").textContent = `of ${plannedSteps}`;
      part("parameters").textContent = `${count.format(event.parameters)} parameters`;
      // What a run that goes on has done before is shown already.
      if (event.step > 0) {
        curve.extend(plannedSteps);
        break;
      }
      curve.begin(plannedSteps);
      part("table").replaceChildren();
      part("samples").replaceChildren();
      for (const id of ["step", "loss", "val-loss", "speed"]) part(id).textContent = "–";
      part("val-step").textContent = "nats per token";
      break;
    case "step":
      curve.addStep(event.step, event.loss);
      progress.value = event.step;
      part("loss").textContent = event.loss.toFixed(3);
      part("speed").textContent = count.format(Math.round(event.tokensPerSecond));
      part("step").textContent = String(event.step);
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
export const showWriting = (event: GenerateEvent): void => {
  if (event.type === "token") written.append(event.text);
};
