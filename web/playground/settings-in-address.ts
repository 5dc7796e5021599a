/** The prompt and the settings of a playground as a query: what differs from the usual. */
import { fitsAddress } from "../inside/texts.ts";
import { type NumberInAddress, numbersQuery, type QueryChanges, withNumbersOf } from "../shell/numbers-in-address.ts";

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

export const defaults: PlaygroundSettings = {
  prompt: "",
  seed: 1,
  maxNewTokens: 200,
  left: usual,
  right: usual,
  scoreText: "",
};

type NumberKey = NumberInAddress<PlaygroundSettings>;

const sampling = [
  { key: "temperature", query: "temperature", least: 0, most: 2, isWhole: false },
  { key: "topK", query: "top-k", least: 0, most: 100, isWhole: true },
  { key: "topP", query: "top-p", least: 0.05, most: 1, isWhole: false },
  { key: "minP", query: "min-p", least: 0, most: 0.5, isWhole: false },
] as const;

/** The second column's begin with "with-". */
const samplingOf = (side: "left" | "right"): readonly NumberKey[] =>
  sampling.map(({ key, query, ...range }) => ({
    ...range,
    query: side === "left" ? query : `with-${query}`,
    of: (settings) => settings[side][key],
    put: (settings, value) => ({ ...settings, [side]: { ...settings[side], [key]: value } }),
  }));

const numbers: readonly NumberKey[] = [
  {
    ...{ query: "seed", least: 0, most: 2 ** 53 - 1, isWhole: true },
    of: ({ seed }) => seed,
    put: (settings, seed) => ({ ...settings, seed }),
  },
  {
    ...{ query: "tokens", least: 1, most: 10_000, isWhole: true },
    of: ({ maxNewTokens }) => maxNewTokens,
    put: (settings, maxNewTokens) => ({ ...settings, maxNewTokens }),
  },
  ...samplingOf("left"),
  ...samplingOf("right"),
];

const texts = [
  ["prompt", "prompt"],
  ["text", "scoreText"],
] as const;

/** As changes of the address. A text that is too long for an address is not in it. */
export const queryOf = (settings: PlaygroundSettings): QueryChanges => ({
  ...Object.fromEntries(
    texts.map(([query, key]) => [query, settings[key] !== "" && fitsAddress(settings[key]) ? settings[key] : null]),
  ),
  ...numbersQuery(numbers, settings, defaults),
});

/** The settings of an address: what it does not name is as usual, and a text as it was kept. Undefined: it names none. */
export const settingsIn = (query: URLSearchParams, kept: PlaygroundSettings): PlaygroundSettings | undefined => {
  if (![...texts.map(([key]) => key), ...numbers.map((one) => one.query)].some((key) => query.has(key)))
    return undefined;
  const { prompt, scoreText } = kept;
  const named = { prompt: query.get("prompt") ?? prompt, scoreText: query.get("text") ?? scoreText };
  return withNumbersOf(numbers, query, { ...defaults, ...named });
};
