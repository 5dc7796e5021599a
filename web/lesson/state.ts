/** The reader's choices. The choices are stored in this tab, so they survive a reload and changes between parts. */
import { batch, computed, effect, signal } from "@preact/signals";
import { keep, readKept } from "../shell/kept.ts";
import { isRefused, type LessonText, promptOf, readText } from "./chapter/text.ts";
import { openEngine } from "./engine/client.ts";
import { prompt, written } from "./writing.ts";

export type TextChoice = "built-in" | "own";

interface KeptText {
  readonly choice: TextChoice;
  readonly own: string;
}

interface KeptWindow {
  readonly start: number;
  readonly time: number;
}

const keptText = readKept<KeptText>("lesson-text");
const keptWindow = readKept<KeptWindow>("lesson-window");

export const choice = signal<TextChoice>(keptText?.choice ?? "built-in");
export const own = signal(keptText?.own ?? "");
/** Start of the window of pairs, and its number of pairs. */
export const start = signal(keptWindow?.start ?? 0);
export const time = signal(keptWindow?.time ?? 8);

// Stored separately, because the window moves often and the text may be long.
effect(() => keep("lesson-text", { choice: choice.value, own: own.value }));
effect(() => keep("lesson-window", { start: start.value, time: time.value }));

export const builtInName = "Moby-Dick, the first chapters";

export type BuiltIn =
  | { readonly kind: "none" | "loading" }
  | { readonly kind: "here"; readonly text: string }
  | { readonly kind: "failed"; readonly error: string };
export const builtIn = signal<BuiltIn>({ kind: "none" });

/** Loads the built-in text once. */
export const loadBuiltIn = async (): Promise<void> => {
  if (builtIn.value.kind === "here" || builtIn.value.kind === "loading") return;
  builtIn.value = { kind: "loading" };
  try {
    const response = await fetch(`${import.meta.env.BASE_URL}moby-dick.txt`);
    if (!response.ok) throw new Error(`status ${response.status}`);
    builtIn.value = { kind: "here", text: await response.text() };
  } catch (error) {
    const got = error instanceof Error ? error.message : String(error);
    builtIn.value = { kind: "failed", error: `The built-in text must load; got ${got}; try a text of your own.` };
  }
};

/** Text of the lesson with its name, or the reason why there is no text. */
export type Current =
  | { readonly kind: "none"; readonly why: string; readonly isFailure: boolean }
  | { readonly kind: "text"; readonly raw: string; readonly name: string; readonly text: LessonText };

export const current = computed<Current>(() => {
  const isOwn = choice.value === "own";
  const state = builtIn.value;
  if (!isOwn && state.kind === "failed") return { kind: "none", why: state.error, isFailure: true };
  if (!isOwn && state.kind !== "here") return { kind: "none", why: "The built-in text is loading.", isFailure: false };
  const raw = isOwn ? own.value : state.kind === "here" ? state.text : "";
  const read = readText(raw);
  if (isRefused(read)) return { kind: "none", why: read.refused, isFailure: raw !== "" };
  return { kind: "text", raw, name: isOwn ? "your text" : "Moby-Dick", text: read };
});

export const chooseText = (next: TextChoice): void => {
  batch(() => {
    choice.value = next;
    start.value = 0;
  });
};

/** Lets the worker read the current text. */
export const openCurrent = (): void => {
  const now = current.peek();
  if (now.kind !== "text") return;
  const first = promptOf(now.text);
  if (!openEngine(now.text.characters.join(""), first)) return;
  // The prompt for another text may contain characters that this text does not have.
  prompt.value = first;
  written.value = [];
};
