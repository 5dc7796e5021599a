/** Where the texts of the inside are: in the address, or, too long for one, kept in this tab. */

export type TextKey = "text" | "corrupted";

const longestInAddress = 3000;

export const fitsAddress = (text: string): boolean => encodeURIComponent(text).length <= longestInAddress;

/** An address that names the text alone means a corrupted text that is the same: one kept from before is of another text. */
export const textIn = (query: URLSearchParams, key: TextKey, kept: (key: TextKey) => string | undefined): string => {
  const named = query.get(key);
  if (named !== null) return named;
  if (key === "corrupted" && query.has("text")) return "";
  return kept(key) ?? "";
};

/** A text without some characters. */
export const without = (text: string, characters: readonly string[]): string =>
  [...text].filter((one) => !characters.includes(one)).join("");

const textsToTry = ["The capital of France is", "The cat sat on the mat because it was tired.", "0123456789"] as const;

/**
 * A text for a model that has none of its own: the first that it can read whole, else what it can read of one.
 * @param unknownIn tells the characters of a text that the model never saw.
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

/** Words of the texts to try, and what to put in their place. */
const replacements = [
  ["France", "Italy"],
  // As many letters: for models of characters.
  ["France", "Greece"],
  ["cat", "rat"],
] as const;

/** Each must be read by the model, to count its tokens: more would take too long. */
const mostExamples = 8;
const leastLetters = 3;

interface Word {
  readonly word: string;
  readonly at: number;
}

/** Words that may be changed: long ones first, then those before the last word, since the prediction follows that one. */
const wordsToChange = (words: readonly Word[]): readonly Word[] => {
  const weightOf = (one: Word): number => (one.word.length >= leastLetters ? 2 : 0) + (one === words.at(-1) ? 0 : 1);
  return words.toReversed().sort((a, b) => weightOf(b) - weightOf(a));
};

/**
 * Corrupted texts to try with a clean one, the best first. Those after the well-known replacements have as many characters,
 * and no other ones than the clean text, so a model of characters can read them: another word of the text in a word's place,
 * two words exchanged, the letters of a word turned round.
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

/** The first of some texts that has a number of tokens. @param tokensOf resolves to undefined for a text that cannot be read. */
export const firstThatFits = async (
  texts: readonly string[],
  tokens: number,
  tokensOf: (text: string) => Promise<number | undefined>,
): Promise<string | undefined> => {
  for (const text of texts) if ((await tokensOf(text)) === tokens) return text;
  return undefined;
};

/** The address that looks into a model on a text; without the text where that is too long for one. */
export const insideAddress = (model: string, text: string): string =>
  `/inside?${new URLSearchParams({ model, ...(fitsAddress(text) ? { text } : {}) })}`;
