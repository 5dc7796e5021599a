/** Settings of the playground. The settings survive a reload; the models are also in the address. */
import { signal } from "@preact/signals";
import type { WriteRequest } from "../../src/serve/studio/protocol.ts";
import { modelsChosenIn, type Side } from "../models/columns.ts";
import { address } from "../shell/address.ts";
import { keepInAddress } from "../shell/keep-in-address.ts";
import { keep, readKept } from "../shell/kept.ts";
import { defaults, type PlaygroundSettings, queryOf, settingsIn } from "./settings-in-address.ts";
import { formFailure, type ReadForm, readForm } from "./text-form.ts";

export const settings = signal<PlaygroundSettings>({ ...defaults, ...readKept<PlaygroundSettings>("playground") });

export const change = (changes: Partial<PlaygroundSettings>): void => {
  settings.value = { ...settings.value, ...changes };
  keep("playground", settings.value);
};

/** Reads the settings from the address and then writes changes to it, until the returned function is called. */
export const followAddress = (): (() => void) => {
  const named = settingsIn(address.value.query, settings.value);
  if (named !== undefined) change(named);
  return keepInAddress(() => queryOf(settings.value));
};

export const { choose: chooseModel, last: lastModels } = modelsChosenIn("models");
export type Tab = "write" | "score";
export const tabOf = (): Tab => (address.value.query.get("tab") === "score" ? "score" : "write");

/** Typed text of the chosen form. */
export const formText = (): string => settings.value.formTexts[settings.value.form] ?? "";
const readNow = (): ReadForm => readForm(settings.value.form, formText());
export const isFormReady = (): boolean => "constraint" in readNow();

/** The server's error about a form. The error is shown until the form changes. */
const refused = signal<{ readonly form: string; readonly error: string } | undefined>(undefined);
const formNow = (): string => JSON.stringify([settings.value.form, formText()]);
export const refuseForm = (error: string): void => {
  refused.value = { form: formNow(), error: formFailure(settings.value.form, error) };
};

/** Error of the form, in one line. */
export const formWrong = (): string | undefined => {
  const read = readNow();
  if ("wrong" in read) return read.wrong;
  return refused.value?.form === formNow() ? refused.value.error : undefined;
};

/** Settings of a request, without the model and the text. */
export const settingsOf = (side: Side): Pick<WriteRequest, "settings" | "constraint" | "speculate"> => {
  const { seed, maxNewTokens, guesses } = settings.value;
  const read = readNow();
  return {
    settings: { ...settings.value[side], seed, maxNewTokens },
    ...("constraint" in read && read.constraint !== undefined ? { constraint: read.constraint } : {}),
    ...(guesses ? { speculate: "ngram" } : {}),
  };
};
