/** What is asked of the models: kept over a reload, the models in the address too. */
import { signal } from "@preact/signals";
import type { WriteRequest } from "../../src/serve/studio/protocol.ts";
import { address, setQuery } from "../shell/address.ts";
import { keep, readKept } from "../shell/kept.ts";

export type Side = "left" | "right";

export interface Sampling {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
}

export interface PlaygroundSettings {
  readonly prompt: string;
  readonly seed: number;
  readonly maxNewTokens: number;
  readonly left: Sampling;
  readonly right: Sampling;
  readonly scoreText: string;
}

const usual: Sampling = { temperature: 0.8, topK: 40, topP: 1, minP: 0 };
const defaults: PlaygroundSettings = {
  prompt: "",
  seed: 1,
  maxNewTokens: 200,
  left: usual,
  right: usual,
  scoreText: "",
};

export const settings = signal<PlaygroundSettings>({ ...defaults, ...readKept<PlaygroundSettings>("playground") });

export const change = (changes: Partial<PlaygroundSettings>): void => {
  settings.value = { ...settings.value, ...changes };
  keep("playground", settings.value);
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
