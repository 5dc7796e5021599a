/** What is asked of the models: kept over a reload, the models in the address too. */
import { effect, signal } from "@preact/signals";
import type { WriteRequest } from "../../src/serve/studio/protocol.ts";
import { address, setQuery } from "../shell/address.ts";
import { keep, readKept } from "../shell/kept.ts";
import { defaults, type PlaygroundSettings, queryOf, settingsIn } from "./settings-in-address.ts";

export type Side = "left" | "right";

export const settings = signal<PlaygroundSettings>({ ...defaults, ...readKept<PlaygroundSettings>("playground") });

export const change = (changes: Partial<PlaygroundSettings>): void => {
  settings.value = { ...settings.value, ...changes };
  keep("playground", settings.value);
};

const quietMs = 300;

/** Takes the settings of the address, and then writes them there a moment after each change, until the function returned is called. */
export const followAddress = (): (() => void) => {
  const named = settingsIn(address.value.query, settings.value);
  if (named !== undefined) change(named);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = effect(() => {
    const wanted = queryOf(settings.value);
    const { query } = address.value;
    clearTimeout(timer);
    if (Object.entries(wanted).every(([key, value]) => query.get(key) === value)) return;
    timer = setTimeout(() => setQuery(wanted), quietMs);
  });
  return () => {
    end();
    clearTimeout(timer);
  };
};

const queryKeys: Readonly<Record<Side, string>> = { left: "model", right: "with" };

export const modelOf = (side: Side): string => address.value.query.get(queryKeys[side]) ?? "";
/** The models that were chosen last: the playground is mostly opened by a link that names none. */
export const lastModels = (): Partial<Record<Side, string>> => readKept<Partial<Record<Side, string>>>("models") ?? {};
export const chooseModel = (side: Side, key: string | null): void => {
  setQuery({ [queryKeys[side]]: key });
  const { [side]: _, ...others } = lastModels();
  keep("models", key === null || key === "" ? others : { ...others, [side]: key });
};
export const isDouble = (): boolean => address.value.query.has(queryKeys.right);
export type Tab = "write" | "score";
export const tabOf = (): Tab => (address.value.query.get("tab") === "score" ? "score" : "write");

export const candidatesShown = 10;

export const settingsOf = (side: Side): NonNullable<WriteRequest["settings"]> => {
  const { seed, maxNewTokens } = settings.value;
  return { ...settings.value[side], seed, maxNewTokens };
};
