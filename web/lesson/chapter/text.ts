/** The reader's text as the model reads it: characters with ids. */

export interface Vocabulary {
  /** Characters in the order of their ids. */
  readonly characters: readonly string[];
  readonly idOf: ReadonlyMap<string, number>;
}

/** Text that the lesson can use. A character is a Unicode code point, so an emoji is one character. */
export interface LessonText {
  readonly characters: readonly string[];
  readonly vocabulary: Vocabulary;
  /** Number of characters at the beginning that the model trains on. The characters after them are held out. */
  readonly trained: number;
}

/** Reason why a text cannot be used, in one line. */
export interface Refused {
  readonly refused: string;
}

/**
 * Minimum and maximum number of characters. In a shorter text, the held-out tenth would be too short to show anything.
 * A longer text would make the page slow.
 */
export const bounds = { least: 200, most: 2_000_000, kinds: 2, mostKinds: 3000 } as const;

const shown = (value: number): string => value.toLocaleString("en-US");
const refusal = (must: string, got: string, hint: string): Refused => ({
  refused: `Your text ${must}; got ${got}; try ${hint}.`,
});

/** All different characters, sorted by code point. The index of a character is its id. */
export const vocabularyOf = (characters: readonly string[]): Vocabulary => {
  const sorted = [...new Set(characters)].sort((a, b) => (a.codePointAt(0) ?? 0) - (b.codePointAt(0) ?? 0));
  return { characters: sorted, idOf: new Map(sorted.map((character, id) => [character, id])) };
};

/** An unpaired surrogate is not a character and occurs in no file. */
const loneHalf = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/gu;

/** Splits a text into characters, or says why it cannot be used. The last tenth is held out. */
export const readText = (text: string): LessonText | Refused => {
  if (text.length > 2 * bounds.most)
    return refusal(`must have at most ${shown(bounds.most)} characters`, `${shown(text.length)}`, "a part of the text");
  const characters = [...text.replace(loneHalf, "\ufffd")];
  if (characters.length < bounds.least) {
    const got = characters.length === 0 ? "none" : shown(characters.length);
    return refusal(
      `must have at least ${bounds.least} characters`,
      got,
      "a page of a book, a letter, or the built-in text",
    );
  }
  if (characters.length > bounds.most)
    return refusal(
      `must have at most ${shown(bounds.most)} characters`,
      shown(characters.length),
      "a part of the text",
    );
  const vocabulary = vocabularyOf(characters);
  const kinds = vocabulary.characters.length;
  if (kinds < bounds.kinds)
    return refusal(`must have at least ${bounds.kinds} different characters`, "only one", "a text with words");
  if (kinds > bounds.mostKinds) {
    const got = shown(kinds);
    return refusal(
      `must have at most ${shown(bounds.mostKinds)} different characters`,
      got,
      "a shorter part of the text",
    );
  }
  return { characters, vocabulary, trained: Math.floor(0.9 * characters.length) };
};

export const isRefused = (text: LessonText | Refused): text is Refused => "refused" in text;

/** Prompt: the first words of one line, at most 24 characters, that the model can continue. */
export const promptOf = ({ characters }: LessonText): string => {
  const first = characters.findIndex((character) => /\S/u.test(character));
  if (first === -1) return characters[0] ?? "";
  const [line = ""] = characters
    .slice(first, first + 25)
    .join("")
    .split(/[\r\n]/u);
  const words = [...line];
  if (words.length < 25) return line.trimEnd();
  const space = words.findLastIndex((character) => /\s/u.test(character));
  return words.slice(0, space > 0 ? space : 24).join("");
};
