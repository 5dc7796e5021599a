/** Texts that models write token by token, and their branches. */
import { signal } from "@preact/signals";
import type { Candidate } from "../../src/pretrained/model/likeliest.ts";
import type { Failure, WriteRequest, WritingEvent } from "../../src/serve/studio/protocol.ts";
import { without } from "../inside/texts.ts";
import { modelOf, type Side } from "../models/columns.ts";
import { modelName } from "../models/model-names.ts";
import { oncePerFrame } from "../parts/once-per-frame.ts";
import { postForEvents } from "../server/event-stream.ts";
import { api } from "../server/request.ts";
import { keep, readKept } from "../shell/kept.ts";
import { refusalWords } from "../tokens/refusal.ts";
import { candidatesShown, markEnd, type WrittenToken, writtenToken } from "../tokens/written-token.ts";
import { change, refuseForm, settings, settingsOf } from "./settings.ts";

export interface Writing {
  readonly id: number;
  /** Id of the text from which this text branches. */
  readonly parent: number | null;
  /** Number of tokens from the parent, including the chosen token. */
  readonly shared: number;
  /** Column in which the text was written. */
  readonly side: Side;
  readonly model: string;
  /** Run and weights that wrote the text. Both are stored, because a run's best weights change. */
  readonly modelName: string;
  readonly prompt: string;
  readonly about: string;
  readonly tokens: readonly WrittenToken[];
  readonly state: "writing" | "done" | "stopped" | "failed";
  readonly note: string;
  /** Characters of the prompt that the model never saw. */
  readonly unknown?: readonly string[];
  readonly paused: readonly string[];
  readonly sharedWith: readonly string[];
}

/** Maximum number of stored texts. Older texts are deleted. */
const most = 40;

/** A text that was being written when the page closed counts as stopped. */
const settled = (all: readonly Writing[]): readonly Writing[] =>
  all.map((one) => (one.state === "writing" ? { ...one, state: "stopped", note: "left" } : one));

type Shown = Readonly<Record<Side, number | null>>;
const nothing: Shown = { left: null, right: null };

/** Texts of both columns, in the order of their ids. */
export const writings = signal<readonly Writing[]>(settled(readKept<readonly Writing[]>("writings") ?? []));
export const shown = signal<Shown>(readKept<Shown>("writings.shown") ?? nothing);

const remember = (): void => {
  keep("writings", writings.value);
  keep("writings.shown", shown.value);
};

export const show = (side: Side, id: number): void => {
  shown.value = { ...shown.value, [side]: id };
  remember();
};

export const forgetAll = (): void => {
  writings.value = [];
  shown.value = nothing;
  remember();
};

export const shownOf = (side: Side): Writing | undefined => writings.value.find(({ id }) => id === shown.value[side]);

const put = (side: Side, writing: Writing): void => {
  const all = writings.value;
  if (all.some(({ id }) => id === writing.id)) {
    writings.value = all.map((one) => (one.id === writing.id ? writing : one));
    return;
  }
  writings.value = [...all, writing].slice(-most);
  shown.value = { ...shown.value, [side]: writing.id };
};

/** Whether a text failed before its first token. Such a text consists only of the reason for the failure. */
export const isRefused = ({ state, tokens }: Writing): boolean => state === "failed" && tokens.length === 0;

/** Deletes refused texts. The next text replaces a deleted text and gets its id. */
const forgetRefused = (): void => {
  writings.value = writings.value.filter((one) => !isRefused(one));
  const ifKept = (id: number | null): number | null => (writings.value.some((one) => one.id === id) ? id : null);
  shown.value = { left: ifKept(shown.value.left), right: ifKept(shown.value.right) };
};

/** The part of a text that a reader can see, for comparison. */
const wordsOf = ({ side, parent, shared, model, modelName, prompt, about, note, tokens }: Writing): string =>
  JSON.stringify([side, parent, shared, model, modelName, prompt, about, note, tokens.map(({ id }) => id)]);

/** Deletes a text that equals an earlier text, and shows the earlier text instead. */
const mergeEqual = (written: Writing): void => {
  if (written.state !== "done") return;
  const words = wordsOf(written);
  const before = writings.value.find((one) => one.id !== written.id && one.state === "done" && wordsOf(one) === words);
  if (before === undefined) return;
  writings.value = writings.value.filter(({ id }) => id !== written.id);
  shown.value = { ...shown.value, [written.side]: before.id };
};

/** Aborts when the user stops the text that is being written. Undefined: no text is being written. */
export const underWay = signal<AbortController | undefined>(undefined);

const finishWords: Readonly<Record<string, string>> = {
  length: "",
  stop: "Ended at a stop string.",
  endOfText: "The model ended the text.",
  aborted: "Stopped.",
};

/** Keys of models that refused an empty prompt, because their tokenizers have no beginning-of-text token. */
const refusedEmpty = signal<ReadonlySet<string>>(new Set());

/** Whether the model of a column is known to need a prompt. */
export const needsPrompt = (side: Side): boolean => refusedEmpty.value.has(modelOf(side));

const isEmptyPrompt = ({ error }: Failure): boolean => error.includes("the prompt must have at least one token");

interface Growing {
  readonly side: Side;
  current: Writing;
  readonly tokens: WrittenToken[];
}

/** An error of the form is shown next to the form's field. */
const fail = (growing: Growing, failure: Failure): void => {
  const isForm = /^constraint\b/u.test(failure.field ?? "");
  const { model, prompt } = growing.current;
  if (prompt === "" && isEmptyPrompt(failure)) {
    refusedEmpty.value = new Set([...refusedEmpty.value, model]);
    growing.current = { ...growing.current, state: "failed", note: "Write the beginning of a text first." };
    return;
  }
  if (isForm) refuseForm(failure.error);
  const note = isForm ? "The form of the text is not valid." : refusalWords(failure, "prompt");
  const { characters } = failure;
  const unknown = characters === undefined || characters.length === 0 ? {} : { unknown: characters };
  growing.current = { ...growing.current, state: "failed", note, ...unknown };
};

const takeEvent = (growing: Growing, event: WritingEvent): void => {
  const { tokens } = growing;
  if (event.type === "begin")
    growing.current = { ...growing.current, paused: event.paused, sharedWith: event.sharedWith };
  else if (event.type === "token") {
    tokens.push(writtenToken(event));
  } else if (event.type === "done") {
    const { finishReason } = event;
    if (finishReason === "endOfText") markEnd(tokens);
    const isWhole = finishReason === "endOfText" && tokens.at(-1)?.isEnd !== true;
    const note = isWhole ? "The form is complete." : (finishWords[finishReason] ?? "");
    growing.current = { ...growing.current, state: "done", note };
  } else fail(growing, event);
};

const follow = async (growing: Growing, body: WriteRequest, signal: AbortSignal): Promise<void> => {
  const { onEvent, end } = oncePerFrame(() => put(growing.side, { ...growing.current, tokens: [...growing.tokens] }));
  try {
    const failure = await postForEvents<WritingEvent>(`${api}/generate`, body, signal, (event) => {
      takeEvent(growing, event);
      onEvent();
    });
    if (failure !== undefined) fail(growing, failure);
  } finally {
    end();
  }
};

const run = async (side: Side, writing: Writing, promptIds: readonly number[], abort: AbortSignal): Promise<void> => {
  const growing: Growing = { side, current: writing, tokens: [...writing.tokens] };
  put(side, writing);
  const body: WriteRequest = {
    model: writing.model,
    prompt: writing.prompt,
    ...(promptIds.length === 0 ? {} : { promptIds: [...promptIds] }),
    ...settingsOf(side),
    candidates: candidatesShown,
  };
  try {
    await follow(growing, body, abort);
  } catch {
    if (!abort.aborted) growing.current = { ...growing.current, state: "failed", note: "The connection was lost." };
  }
  const { current, tokens } = growing;
  const state = current.state === "writing" ? "stopped" : current.state;
  const written: Writing = { ...current, state, note: state === "stopped" ? "Stopped." : current.note, tokens };
  put(side, written);
  mergeEqual(written);
  remember();
};

const nextId = (): number => 1 + Math.max(0, ...writings.value.map(({ id }) => id));

const aboutOf = (side: Side): string => {
  const { temperature } = settings.value[side];
  return `temperature ${temperature}, seed ${settings.value.seed}`;
};

/**
 * Stops the work under way and starts `work`. Only one request runs at a time, because simultaneous requests would
 * share the cores.
 */
const whileUnderWay = async (work: (abort: AbortSignal) => Promise<void>): Promise<void> => {
  underWay.value?.abort();
  const controller = new AbortController();
  underWay.value = controller;
  await work(controller.signal);
  if (underWay.value === controller) underWay.value = undefined;
};

export const write = (sides: readonly Side[]): Promise<void> =>
  whileUnderWay(async (abort) => {
    forgetRefused();
    for (const side of sides) {
      if (abort.aborted) return;
      const common = {
        parent: null,
        shared: 0,
        tokens: [],
        state: "writing",
        note: "",
        paused: [],
        sharedWith: [],
      } as const;
      const writing: Writing = {
        ...common,
        id: nextId(),
        side,
        model: modelOf(side),
        modelName: modelName(modelOf(side)),
        prompt: settings.value.prompt,
        about: aboutOf(side),
      };
      await run(side, writing, [], abort);
    }
  });

/** Removes characters from the prompt, and writes again. */
export const writeWithout = (characters: readonly string[], sides: readonly Side[]): Promise<void> => {
  change({ prompt: without(settings.value.prompt, characters) });
  return write(sides);
};

/** Continues a text from a token that is replaced by another candidate. */
export const branch = (side: Side, from: Writing, at: number, candidate: Candidate): Promise<void> =>
  whileUnderWay(async (abort) => {
    const { id, text, probability } = candidate;
    const own: WrittenToken = { id, text, probability, candidates: from.tokens[at]?.candidates ?? [], isChosen: true };
    const tokens = [...from.tokens.slice(0, at), own];
    const writing: Writing = {
      ...from,
      id: nextId(),
      side,
      parent: from.id,
      shared: tokens.length,
      about: aboutOf(side),
      tokens,
      state: "writing",
      note: "",
    };
    await run(
      side,
      writing,
      tokens.map((token) => token.id),
      abort,
    );
  });
