/** What is asked of the models: kept over a reload, the models in the address too. */
import { signal } from "@preact/signals";
import type { WriteRequest } from "../../src/serve/studio/protocol.ts";
import { modelsChosenIn, type Side } from "../models/columns.ts";
import { address } from "../shell/address.ts";
import { keepInAddress } from "../shell/keep-in-address.ts";
import { keep, readKept } from "../shell/kept.ts";
import { defaults, type PlaygroundSettings, queryOf, settingsIn } from "./settings-in-address.ts";
import { type ReadForm, readForm } from "./text-form.ts";

export const settings = signal<PlaygroundSettings>({ ...defaults, ...readKept<PlaygroundSettings>("playground") });

export const change = (changes: Partial<PlaygroundSettings>): void => {
  settings.value = { ...settings.value, ...changes };
  keep("playground", settings.value);
};

/** Takes the settings of the address, and then writes them there, until the function returned is called. */
export const followAddress = (): (() => void) => {
  const named = settingsIn(address.value.query, settings.value);
  if (named !== undefined) change(named);
  return keepInAddress(() => queryOf(settings.value));
};

export const { choose: chooseModel, last: lastModels } = modelsChosenIn("models");
export type Tab = "write" | "score";
export const tabOf = (): Tab => (address.value.query.get("tab") === "score" ? "score" : "write");

/** What was typed for the form that is chosen. */
export const formText = (): string => settings.value.formTexts[settings.value.form] ?? "";
const readNow = (): ReadForm => readForm(settings.value.form, formText());
export const isFormReady = (): boolean => "constraint" in readNow();

/** What the server said of a form: it is shown as long as the form stays as it was. */
const refused = signal<{ readonly form: string; readonly error: string } | undefined>(undefined);
const formNow = (): string => JSON.stringify([settings.value.form, formText()]);
export const refuseForm = (error: string): void => {
  refused.value = { form: formNow(), error };
};

/** What is wrong with the form, in one line. */
export const formWrong = (): string | undefined => {
  const read = readNow();
  if ("wrong" in read) return read.wrong;
  return refused.value?.form === formNow() ? refused.value.error : undefined;
};

/** What is asked of a model, but for the model and the text. */
export const settingsOf = (side: Side): Pick<WriteRequest, "settings" | "constraint" | "speculate"> => {
  const { seed, maxNewTokens, guesses } = settings.value;
  const read = readNow();
  return {
    settings: { ...settings.value[side], seed, maxNewTokens },
    ...("constraint" in read && read.constraint !== undefined ? { constraint: read.constraint } : {}),
    ...(guesses ? { speculate: "ngram" } : {}),
  };
};
