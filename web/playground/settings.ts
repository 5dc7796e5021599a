/** What is asked of the models: kept over a reload, the models in the address too. */
import { signal } from "@preact/signals";
import type { WriteRequest } from "../../src/serve/studio/protocol.ts";
import { modelsChosenIn, type Side } from "../models/columns.ts";
import { address } from "../shell/address.ts";
import { keepInAddress } from "../shell/keep-in-address.ts";
import { keep, readKept } from "../shell/kept.ts";
import { defaults, type PlaygroundSettings, queryOf, settingsIn } from "./settings-in-address.ts";

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

export const settingsOf = (side: Side): NonNullable<WriteRequest["settings"]> => {
  const { seed, maxNewTokens } = settings.value;
  return { ...settings.value[side], seed, maxNewTokens };
};
