/** Settings of the chat. The settings survive a reload; values that differ from the defaults are in the address. */
import { signal } from "@preact/signals";
import type { ChatRequest } from "../../src/serve/studio/protocol.ts";
import { modelsChosenIn } from "../models/columns.ts";
import { address } from "../shell/address.ts";
import { keepInAddress } from "../shell/keep-in-address.ts";
import { keep, readKept } from "../shell/kept.ts";
import { type ChatSettings, defaults, queryOf, settingsIn } from "./settings-in-address.ts";

export const settings = signal<ChatSettings>({ ...defaults, ...readKept<ChatSettings>("chat.settings") });

export const change = (changes: Partial<ChatSettings>): void => {
  settings.value = { ...settings.value, ...changes };
  keep("chat.settings", settings.value);
};

/** Reads the settings from the address and then writes changes to it, until the returned function is called. */
export const followAddress = (): (() => void) => {
  const named = settingsIn(address.value.query, settings.value);
  if (named !== undefined) change(named);
  return keepInAddress(() => queryOf(settings.value));
};

export const { choose: chooseModel, last: lastModels } = modelsChosenIn("chat.models");

/** Settings of a request, without the system prompt. */
export const samplingOf = (seed: number): NonNullable<ChatRequest["settings"]> => {
  const { system: _, ...sampling } = settings.value;
  return { ...sampling, seed };
};

/** Whether answers are shown as tokens. */
export const showsTokens = signal<boolean>(readKept<boolean>("chat.tokens") ?? false);
export const showTokens = (shown: boolean): void => {
  showsTokens.value = shown;
  keep("chat.tokens", shown);
};
