/**
 * Storage of the inside view's texts. A text is in the address. A text that is too long for an address is stored in
 * this tab.
 */

export type TextKey = "text" | "corrupted";

const longestInAddress = 3000;

export const fitsAddress = (text: string): boolean => encodeURIComponent(text).length <= longestInAddress;

/**
 * Text from the address, or the text stored in the tab. If the address has only the clean text, the stored corrupted
 * text is not used, because it belongs to another text.
 */
export const textIn = (query: URLSearchParams, key: TextKey, kept: (key: TextKey) => string | undefined): string => {
  const named = query.get(key);
  if (named !== null) return named;
  if (key === "corrupted" && query.has("text")) return "";
  return kept(key) ?? "";
};

/** Removes characters from a text. */
export const without = (text: string, characters: readonly string[]): string =>
  [...text].filter((one) => !characters.includes(one)).join("");

const textsToTry = ["The capital of France is", "The cat sat on the mat because it was tired.", "0123456789"] as const;

/**
 * Text for a model without a sample: the first example that the model can read completely. If there is no such example,
 * an example without the unknown characters.
 * @param unknownIn returns the characters of a text that the model never saw.
 */
export const textFor = async (unknownIn: (text: string) => Promise<readonly string[]>): Promise<string> => {
  let longest = "";
  for (const text of textsToTry) {
    const known = without(text, await unknownIn(text));
    if (known === text) return text;
    if (known.length > longest.length) longest = known;
  }
  return longest === "" ? textsToTry[0] : longest;
};

/** Words of the examples, with their replacements. */
const replacements = [
  ["France", "Italy"],
  // Replacements have the same number of letters, for character models.
  ["France", "Greece"],
  ["cat", "rat"],
] as const;

/**
 * Maximum number of examples. The model must read each example to count its tokens, so more examples would take too
 * long.
 */
const mostExamples = 8;
const leastLetters = 3;

interface Word {
  readonly word: string;
  readonly at: number;
}

/**
 * Words that may be changed, in order of preference: long words first. The last word is avoided, because the prediction
 * comes after the last word.
 */
const wordsToChange = (words: readonly Word[]): readonly Word[] => {
  const weightOf = (one: Word): number => (one.word.length >= leastLetters ? 2 : 0) + (one === words.at(-1) ? 0 : 1);
  return words.toReversed().sort((a, b) => weightOf(b) - weightOf(a));
};

/**
 * Corrupted texts to try with a clean text, best first. Well-known replacements come first. All other texts have the
 * same number of characters as the clean text and no new characters, so that a character model can read them. To make
 * such a text, a word is replaced by another word of the text, two neighbouring words are exchanged, or the letters of
 * a word are reversed.
 */
export const corruptedExamples = (text: string): readonly string[] => {
  const words = [...text.matchAll(/[\p{L}\p{N}]+/gu)].map(({ 0: word, index: at }) => ({ word, at }));
  const changed = ({ word, at }: Word, to: string): string => text.slice(0, at) + to + text.slice(at + word.length);
  const order = wordsToChange(words);
  const known = replacements.flatMap(([from, to]) =>
    words.filter(({ word }) => word === from).map((one) => changed(one, to)),
  );
  const ofText = order.flatMap((one) =>
    order
      .filter(({ word }) => word.length === one.word.length && word !== one.word)
      .map(({ word }) => changed(one, word)),
  );
  const exchanged = words.slice(1).map((second, n) => {
    const first = words[n] ?? second;
    const between = text.slice(first.at + first.word.length, second.at);
    return text.slice(0, first.at) + second.word + between + first.word + text.slice(second.at + second.word.length);
  });
  const turned = order.map((one) => changed(one, [...one.word].reverse().join("")));
  const some = [...known, ...ofText.slice(0, 3), ...exchanged.slice(-2), ...turned.slice(0, 2)];
  return [...new Set(some)].filter((one) => one !== text).slice(0, mostExamples);
};

/**
 * The first text that has the given number of tokens. @param tokensOf resolves to undefined for a text that the model
 * cannot read.
 */
export const firstThatFits = async (
  texts: readonly string[],
  tokens: number,
  tokensOf: (text: string) => Promise<number | undefined>,
): Promise<string | undefined> => {
  for (const text of texts) if ((await tokensOf(text)) === tokens) return text;
  return undefined;
};

/** Address that opens the inside view with a model and a text. A text that is too long for an address is left out. */
export const insideAddress = (model: string, text: string): string =>
  `/inside?${new URLSearchParams({ model, ...(fitsAddress(text) ? { text } : {}) })}`;
