/** Prompt and settings of the playground as a URL query. Only values that differ from the defaults are in it. */
import { fitsAddress } from "../inside/texts.ts";
import { type NumberInAddress, numbersQuery, type QueryChanges, withNumbersOf } from "../shell/numbers-in-address.ts";
import { type FormKind, fieldOf, formChoices } from "./text-form.ts";

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
  /** Form that the text must have, and the typed text of each form. */
  readonly form: FormKind;
  readonly formTexts: Readonly<Partial<Record<FormKind, string>>>;
  /** Whether to guess the next tokens from earlier tokens. */
  readonly guesses: boolean;
}

const usual: Sampling = { temperature: 0.8, topK: 40, topP: 1, minP: 0 };

export const defaults: PlaygroundSettings = {
  prompt: "",
  seed: 1,
  maxNewTokens: 200,
  left: usual,
  right: usual,
  scoreText: "",
  form: "any",
  formTexts: {},
  guesses: false,
};

type NumberKey = NumberInAddress<PlaygroundSettings>;

const sampling = [
  { key: "temperature", query: "temperature", least: 0, most: 2, isWhole: false },
  { key: "topK", query: "top-k", least: 0, most: 100, isWhole: true },
  { key: "topP", query: "top-p", least: 0.05, most: 1, isWhole: false },
  { key: "minP", query: "min-p", least: 0, most: 0.5, isWhole: false },
] as const;

/** Keys of the second column begin with "with-". */
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

/**
 * The form and its text, if both fit into an address. A form without its text would be another form, so both are left
 * out.
 */
const formQuery = ({ form, formTexts }: PlaygroundSettings): QueryChanges => {
  const text = fieldOf(form) === undefined ? "" : (formTexts[form] ?? "");
  const isNamed = form !== "any" && fitsAddress(text);
  return { form: isNamed ? form : null, "form-text": isNamed && text !== "" ? text : null };
};

/** Settings as changes of the address. A text that is too long for an address is left out. */
export const queryOf = (settings: PlaygroundSettings): QueryChanges => ({
  ...formQuery(settings),
  guesses: settings.guesses ? "yes" : null,
  ...Object.fromEntries(
    texts.map(([query, key]) => [query, settings[key] !== "" && fitsAddress(settings[key]) ? settings[key] : null]),
  ),
  ...numbersQuery(numbers, settings, defaults),
});

const formIn = (query: URLSearchParams, { formTexts }: PlaygroundSettings): Partial<PlaygroundSettings> => {
  const form = formChoices.find(({ kind }) => kind === query.get("form"))?.kind ?? "any";
  const text = query.get("form-text");
  return { form, formTexts: text === null ? formTexts : { ...formTexts, [form]: text } };
};

/**
 * Settings from an address. A missing setting gets its default. A missing text is taken from `kept`. Undefined if the
 * address has no settings.
 */
export const settingsIn = (query: URLSearchParams, kept: PlaygroundSettings): PlaygroundSettings | undefined => {
  if (
    ![...texts.map(([key]) => key), ...numbers.map((one) => one.query), "form", "guesses"].some((key) => query.has(key))
  )
    return undefined;
  const { prompt, scoreText } = kept;
  const named = { prompt: query.get("prompt") ?? prompt, scoreText: query.get("text") ?? scoreText };
  const others = { ...formIn(query, kept), guesses: query.get("guesses") === "yes" };
  return withNumbersOf(numbers, query, { ...defaults, ...named, ...others });
};
