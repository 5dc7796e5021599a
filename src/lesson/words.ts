/** A word is a run of this many letters or more. Shorter ones are hit by chance. */
export const shortestWord = 3;

/** Scripts that put no spaces between words. */
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}]/gu;
/** As many UTF-16 units of a text tell its script. */
const enough = 100_000;

/** Whether runs of letters are words in `text`: not if half of its letters or more are of a script without spaces. */
export const hasWords = (text: string): boolean => {
  const beginning = text.slice(0, enough);
  const letters = beginning.match(/\p{L}/gu)?.length ?? 0;
  return (beginning.match(unspaced)?.length ?? 0) < letters / 2;
};

/** The words of `text` in lower case, in order, as often as they occur. */
export const wordsOf = (text: string): readonly string[] =>
  (text.toLowerCase().match(/\p{L}+/gu) ?? []).filter((word) => [...word].length >= shortestWord);

/** The different words of a text. */
export const dictionaryOf = (text: string): ReadonlySet<string> => new Set(wordsOf(text));

/** How many of the words of a text are in a dictionary. */
export interface WordShare {
  readonly words: number;
  readonly known: number;
  /** known / words; 0 for a text without words. */
  readonly share: number;
}

/**
 * The share of dictionary words in a model's text after `prompt`. A word that the prompt began or the end cut off is not
 * the model's, and is left out.
 */
export const wordShare = (dictionary: ReadonlySet<string>, written: string, prompt: string): WordShare => {
  const begun = /\p{L}$/u.test(prompt) ? written.replace(/^\p{L}+/u, "") : written;
  const words = wordsOf(begun.replace(/\p{L}+$/u, ""));
  const known = words.filter((word) => dictionary.has(word)).length;
  return { words: words.length, known, share: words.length === 0 ? 0 : known / words.length };
};
