// Shows the page's content and handles its controls. main.ts says what is trained.
import type { GenerateEvent, RunFiles } from "foretoken/browser";
import { showPast } from "./figures.ts";
import { download, isTaken, openFolder, readKept, writeKept } from "./kept.ts";
import { lineOf, messageOf, messageOfUnopened } from "./messages.ts";
import { findObstacles } from "./obstacles.ts";
import { count, offer, part, promptPart, say, tell } from "./parts.ts";
import { nextEnd, positionOf } from "./past.ts";
import { mayReplace } from "./replace.ts";
import { textOfFile } from "./text-file.ts";

const textBox = part<HTMLTextAreaElement>("text");
const fileInput = part<HTMLInputElement>("file");
const trainButton = part<HTMLButtonElement>("train");
const goOnButton = part<HTMLButtonElement>("go-on");
const downloadButton = part<HTMLButtonElement>("download");
const folderInput = part<HTMLInputElement>("folder");
const stepsBox = part<HTMLInputElement>("planned");
const promptBox = part<HTMLInputElement>("prompt");
const writeButton = part<HTMLButtonElement>("write");
const written = part("written");

const tellError = (error: unknown): void => {
  const message = messageOf(error, textBox.value);
  const act = (): void => {
    if (run !== undefined) showText(run);
    goOnButton.focus();
  };
  tell("error", message, message.putBack === undefined ? undefined : { name: message.putBack, act });
};

const obstacles = findObstacles(globalThis);
/** The library's backend that works in this page: "wasm", or "reference", which is slow. */
export const backend = obstacles.length === 0 ? "wasm" : "reference";
const isStopped = obstacles.some(({ stops }) => stops);

part("unserved").remove();
for (const { title, text } of obstacles) tell("lasting", { title: `${title}.`, text });
trainButton.disabled = isStopped;

// The text in the box: an example, a file, or text that the user typed.

const showSize = (): void => {
  const { value } = textBox;
  part("size").textContent =
    `${count.format(value.length)} characters, ${count.format(new Set(value).size)} of them different`;
  showButtons();
};

const setText = (text: string): void => {
  textBox.value = text;
  showSize();
};

/** Whether the text is the user's own. The page then no longer changes the box by itself. */
let isOwn = false;

/** A text as the box returns it: every kind of line end becomes "\n". */
const inBox = (text: string): string => text.replaceAll(/\r\n?/g, "\n");

/** The text of the last opened file. Unlike the box, it may contain `\r`. */
let ofFile = "";
const givenText = (): string => (textBox.value === inBox(ofFile) ? ofFile : textBox.value);

const openFile = async (file: File | undefined): Promise<void> => {
  if (file === undefined) return;
  for (const notice of document.querySelectorAll(".notice.error")) notice.remove();
  const read = textOfFile(new Uint8Array(await file.arrayBuffer()), file.name);
  if ("wrong" in read) {
    tell("error", read.wrong);
    return;
  }
  isOwn = true;
  ofFile = read.text;
  setText(ofFile);
  say(`Opened ${file.name}.`);
};

textBox.addEventListener("input", () => {
  isOwn = true;
  showSize();
});
fileInput.addEventListener("change", async () => {
  await openFile(fileInput.files?.[0]);
  // If the field is empty, the user can choose the same file again after saving it.
  fileInput.value = "";
});
textBox.addEventListener("dragover", (event) => event.preventDefault());
textBox.addEventListener("drop", (event) => {
  const file = event.dataTransfer?.files[0];
  if (file === undefined) return;
  event.preventDefault();
  openFile(file);
});

let example = "";
/** Shows the example in the empty box, unless the user has typed there, may be about to, or sees a run. */
const showExample = (): void => {
  if (textBox.value === "" && !isOwn && document.activeElement !== textBox && run === undefined) setText(example);
};
textBox.addEventListener("blur", showExample);

const loadExample = async (): Promise<void> => {
  const response = await fetch(new URL("./text.txt", import.meta.url));
  const text = await response.text();
  if (!response.ok) return;
  example = text;
  showExample();
};
loadExample().catch(() => say("The example could not be loaded. Paste a text of your own."));

/** Steps of a new training. */
const askedSteps = (): number => (stepsBox.validity.valid ? stepsBox.valueAsNumber : Number(stepsBox.defaultValue));

// The buttons. The active button has the label "Stop". The other buttons are disabled until the work ends.

let atWork: AbortController | undefined;
/**
 * The run that the page shows. The buttons "Resume", "Download" and "Write" use this run. The run was trained here,
 * or the browser has stored it, or the user opened it.
 */
let run: RunFiles | undefined;

const stepOf = (step: number, steps: number): string => `step ${count.format(step)} of ${count.format(steps)}`;

/** Describes what the button "Resume" would do. */
const resumeHint = (run: RunFiles): string => {
  const { step, steps } = positionOf(run);
  const left = nextEnd(run) - step;
  const some = `${count.format(left)} ${step < steps ? "" : "more "}${left === 1 ? "step" : "steps"}`;
  return step < steps
    ? `Resume trains the remaining ${some}.`
    : `Resume trains ${some}. For many more steps, press Train.`;
};

const showButtons = (): void => {
  const waits = (button: HTMLButtonElement): boolean => atWork !== undefined && button.textContent !== "Stop";
  trainButton.disabled = isStopped || waits(trainButton);
  goOnButton.disabled = isStopped || run === undefined || waits(goOnButton);
  writeButton.disabled = run === undefined || waits(writeButton);
  // Highlights the button that the user will probably press next. After a change of the text, this is "Train".
  const isLearned = run !== undefined && textBox.value === shownText(run);
  for (const [button, isNext] of [
    [trainButton, !isLearned],
    [goOnButton, isLearned],
    [writeButton, true],
  ] as const) {
    button.classList.toggle("primary", isNext && button.textContent !== "Stop");
  }
  const learns = [trainButton, goOnButton].some(({ textContent }) => textContent === "Stop");
  const next =
    run === undefined ? "Train a model first. Then its text appears here." : "Press Write: the text appears here.";
  written.dataset.empty = learns ? "The model is learning. After that, its text appears here." : next;
  const better = "More steps and a longer text give better results.";
  part("hint").textContent = run === undefined || atWork !== undefined ? better : resumeHint(run);
  downloadButton.disabled = run === undefined;
  folderInput.disabled = atWork !== undefined;
};

/** Executes `work` until it ends or is stopped. No other work can begin before that. */
const attempt = async (work: (signal: AbortSignal) => Promise<void>, tellFailure = tellError): Promise<void> => {
  const [before, line] = [run, part("status").textContent];
  atWork = new AbortController();
  part("notices").replaceChildren(...part("notices").querySelectorAll(".lasting"));
  showButtons();
  try {
    await work(atWork.signal);
  } catch (error) {
    if (error instanceof Error && error.name === "AbortError") {
      say("Stopped.");
      return;
    }
    say(run === before ? line : "");
    tellFailure(error);
  } finally {
    await store();
    atWork = undefined;
    showButtons();
  }
};

/** Executes `work` until it ends or the button is pressed again. */
const press = async (button: HTMLButtonElement, work: (signal: AbortSignal) => Promise<void>): Promise<void> => {
  if (atWork !== undefined) {
    atWork.abort();
    return;
  }
  const name = button.textContent;
  button.textContent = "Stop";
  await attempt(work);
  button.textContent = name;
  showButtons();
};

addEventListener("keydown", ({ key }) => {
  if (key === "Escape") atWork?.abort();
});

/** The training data: the text of the page, or the data of the run that is resumed. */
export type Data = Pick<RunFiles, "text" | "valText" | "documents" | "valDocuments">;

const dataOf = ({ text, valText, documents, valDocuments }: RunFiles): Data => {
  return { text, valText, documents, valDocuments };
};

/** The text of a run, for the box. Documents are not shown. */
const shownText = ({ text = "", documents }: RunFiles): string => (documents === undefined ? inBox(text) : "");

/** Shows a run and its history. @returns its step and its planned number of steps. */
const showRun = (shown: RunFiles): { readonly step: number; readonly steps: number } => {
  const position = showPast(shown);
  run = shown;
  return position;
};

const showText = (run: RunFiles): void => {
  setText(shownText(run));
  textBox.placeholder = run.documents === undefined ? "" : "This run is trained on documents.";
};

/**
 * Calls `work` with the data, the total number of steps, the run to resume, and a signal to stop. The run is undefined
 * for a new run.
 */
export const onTrain = (
  work: (data: Data, steps: number, begun: RunFiles | undefined, signal: AbortSignal) => Promise<void>,
): void => {
  trainButton.addEventListener("click", () => {
    if (atWork === undefined && !stepsBox.reportValidity()) return;
    press(trainButton, async (signal) => {
      await opened;
      const before = run;
      if (before !== undefined && !(await mayReplace(before))) return;
      say("Training begins…");
      // Until the new run is stored, there is no run to continue or download.
      run = undefined;
      showButtons();
      try {
        await work({ text: givenText() }, askedSteps(), undefined, signal);
      } finally {
        if (run === undefined && before !== undefined) showRun(before);
      }
    });
  });
  goOnButton.addEventListener("click", () =>
    press(goOnButton, async (signal) => {
      if (run === undefined) return;
      const { step } = showRun(run);
      const steps = nextEnd(run);
      say(`Training continues for ${count.format(steps - step)} more steps…`);
      // If the text was changed, the library refuses to resume the run.
      const data = textBox.value === shownText(run) ? dataOf(run) : { text: givenText() };
      await work(data, steps, run, signal);
    }),
  );
  showButtons();
};

/** While a run is being trained, it is stored this often, in milliseconds. */
const storeEvery = 10_000;
let storedAt = Number.NEGATIVE_INFINITY;
let isStored = true;

/** Stores the run in the browser, if it has changed. If the run cannot be stored, the training continues. */
export const store = async (): Promise<void> => {
  if (run === undefined || isStored) return;
  isStored = true;
  storedAt = performance.now();
  try {
    await writeKept(run);
  } catch (error) {
    if (document.querySelector(".notice.unkept") !== null) return;
    tell("news", {
      title: "The browser could not store the run.",
      text: lineOf(error),
    });
    document.querySelector(".notice:last-child")?.classList.add("unkept");
  }
};

/** Shows the run that is being trained. Stores it in the browser if that was not done in the last seconds. */
export const keep = async (next: RunFiles): Promise<void> => {
  run = next;
  isStored = false;
  showButtons();
  if (performance.now() - storedAt >= storeEvery) await store();
};

downloadButton.addEventListener("click", () => {
  try {
    if (run !== undefined) download(run);
  } catch (error) {
    tellError(error);
  }
});

/** The message that the run is open in another tab. Undefined if no other tab has the run open. */
let taken: Element | undefined;
const tellTaken = (): void => {
  taken = tell("lasting", {
    title: "The run is open in another tab.",
    text: "Continue in that tab, or close it. In this tab, a reload loses the training.",
  });
};

/**
 * Shows the run that the browser has stored, if there is one. If the page already shows another run, asks whether that
 * run may replace the stored run.
 */
const openKept = async (): Promise<void> => {
  const kept = await readKept(tellTaken);
  taken?.remove();
  if (run !== undefined) {
    isStored = kept !== null && !(await mayReplace(kept));
    await store();
    return;
  }
  if (kept === null) return;
  const { step, steps } = showRun(kept);
  if (!isOwn) showText(kept);
  say(`Stored in your browser: ${stepOf(step, steps)}. Press Resume or Write.`);
  showButtons();
};

/**
 * Calls `check` with the run of an opened folder. If `check` succeeds, the page shows the run and stores it in the
 * browser.
 */
export const onOpen = (
  check: (data: Data, steps: number, run: RunFiles, signal: AbortSignal) => Promise<void>,
): void => {
  const open = async (files: FileList, signal: AbortSignal): Promise<void> => {
    const line = part("status").textContent;
    say("Reading the folder…");
    await opened;
    const next = await openFolder(files, givenText());
    await check(dataOf(next), nextEnd(next), next, signal);
    signal.throwIfAborted();
    if (run !== undefined && !(await mayReplace(run))) {
      say(line);
      return;
    }
    const { step, steps } = showRun(next);
    showText(next);
    say(`Opened: ${stepOf(step, steps)}. Press Resume or Write.`);
    await keep(next);
  };
  folderInput.addEventListener("change", async () => {
    const { files } = folderInput;
    if (files === null || files.length === 0 || atWork !== undefined) return;
    await attempt(
      (signal) => open(files, signal),
      (error) => tell("error", messageOfUnopened(error)),
    );
    // Lets the user choose the same folder again.
    folderInput.value = "";
  });
};

/** When the user asks for text, calls `work` with the run, the prompt and a signal to stop. */
export const onWrite = (work: (run: RunFiles, prompt: string, signal: AbortSignal) => Promise<void>): void => {
  part("writing").addEventListener("submit", (event) => {
    event.preventDefault();
    press(writeButton, async (signal) => {
      if (run === undefined) return;
      written.replaceChildren(promptPart(promptBox.value));
      written.setAttribute("aria-busy", "true");
      try {
        await work(run, promptBox.value, signal);
      } catch (error) {
        written.replaceChildren();
        throw error;
      } finally {
        written.setAttribute("aria-busy", "false");
      }
    });
  });
};

/** Shows an event of `generate`: each piece of text as it arrives. */
export const showWriting = (event: GenerateEvent): void => {
  if (event.type === "token") written.append(event.text);
};

const openKeptOrTell = async (): Promise<void> => {
  try {
    await openKept();
  } catch (error) {
    const again = { name: "Try again", act: openKeptOrTell };
    if (taken?.isConnected === true && isTaken(error)) {
      offer(taken, again);
      return;
    }
    taken?.remove();
    tell("lasting", { title: "A reload of this page loses the training.", text: lineOf(error) }, again);
  }
};

/** Resolves when the stored run has been read. Before that, nothing may replace the stored run. */
const opened = openKeptOrTell();
