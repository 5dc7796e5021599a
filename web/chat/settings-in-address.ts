/** System prompt and chat settings as a URL query. Only values that differ from the defaults are in it. */
import { fitsAddress } from "../inside/texts.ts";
import { type NumberInAddress, numbersQuery, type QueryChanges, withNumbersOf } from "../shell/numbers-in-address.ts";

export interface ChatSettings {
  /** System prompt. The string is empty if there is no system prompt. */
  readonly system: string;
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly maxNewTokens: number;
  readonly seed: number;
}

/** Defaults of `foretoken chat`. */
export const defaults: ChatSettings = {
  system: "",
  temperature: 0.5,
  topP: 0.9,
  topK: 0,
  maxNewTokens: 512,
  seed: 1,
};

type NumberName = Exclude<keyof ChatSettings, "system">;

const ranges: readonly (readonly [NumberName, Omit<NumberInAddress<ChatSettings>, "of" | "put">])[] = [
  ["temperature", { query: "temperature", least: 0, most: 2, isWhole: false }],
  ["topP", { query: "top-p", least: 0.05, most: 1, isWhole: false }],
  ["topK", { query: "top-k", least: 0, most: 100, isWhole: true }],
  ["maxNewTokens", { query: "tokens", least: 1, most: 10_000, isWhole: true }],
  ["seed", { query: "seed", least: 0, most: 2 ** 53 - 1, isWhole: true }],
];

const numbers: readonly NumberInAddress<ChatSettings>[] = ranges.map(([name, range]) => ({
  ...range,
  of: (settings) => settings[name],
  put: (settings, value) => ({ ...settings, [name]: value }),
}));

/** Settings as changes of the address. Leaves out a system prompt that is too long for an address. */
export const queryOf = (settings: ChatSettings): QueryChanges => ({
  system: settings.system !== "" && fitsAddress(settings.system) ? settings.system : null,
  ...numbersQuery(numbers, settings, defaults),
});

/**
 * Settings from an address. A missing setting gets its default. A missing system prompt is taken from `kept`. Undefined
 * if the address has no settings.
 */
export const settingsIn = (query: URLSearchParams, kept: ChatSettings): ChatSettings | undefined => {
  if (!["system", ...numbers.map((one) => one.query)].some((key) => query.has(key))) return undefined;
  return withNumbersOf(numbers, query, { ...defaults, system: query.get("system") ?? kept.system });
};
