/** Minimum number of letters of a word. A shorter word is often in the text by chance. */
export const shortestWord = 3;

/** Scripts without spaces between words. */
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}]/gu;
/** Number of UTF-16 units from which the script of a text is recognised. */
const enough = 100_000;

/**
 * Whether runs of letters in `text` are words. False if at least half of the letters belong to a script without spaces.
 */
export const hasWords = (text: string): boolean => {
  const beginning = text.slice(0, enough);
  const letters = beginning.match(/\p{L}/gu)?.length ?? 0;
  return (beginning.match(unspaced)?.length ?? 0) < letters / 2;
};

/** All words of `text` in lower case, in order, with repetitions. */
export const wordsOf = (text: string): readonly string[] =>
  (text.toLowerCase().match(/\p{L}+/gu) ?? []).filter((word) => [...word].length >= shortestWord);

/** Set of the words of a text. */
export const dictionaryOf = (text: string): ReadonlySet<string> => new Set(wordsOf(text));

/** Number of words of a text that are in a dictionary. */
export interface WordShare {
  readonly words: number;
  readonly known: number;
  /** known / words. The share is 0 for a text without words. */
  readonly share: number;
}

/**
 * Share of dictionary words in the text that a model wrote after `prompt`. Words that begin in the prompt are not
 * counted. A word that the end of the text cuts off is not counted, either.
 */
export const wordShare = (dictionary: ReadonlySet<string>, written: string, prompt: string): WordShare => {
  const begun = /\p{L}$/u.test(prompt) ? written.replace(/^\p{L}+/u, "") : written;
  const words = wordsOf(begun.replace(/\p{L}+$/u, ""));
  const known = words.filter((word) => dictionary.has(word)).length;
  return { words: words.length, known, share: words.length === 0 ? 0 : known / words.length };
};
