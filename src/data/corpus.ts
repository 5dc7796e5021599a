import { checkText } from "../core/checks/check-arguments.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";

/** A part of a text with a name, mostly a file of a folder. It ends where the next part begins. */
export interface TextPart {
  /** Its name in errors. */
  readonly where: string;
  /** UTF-16 index of its first character in the text. */
  readonly start: number;
}

/** A text in two parts: one to train on, one held out for evaluation. */
export interface Corpus {
  /** Short name for people: `tiny-shakespeare`, or the file's or folder's name. */
  readonly name: string;
  /** Source of the text: a path or an address. */
  readonly source: string;
  /** The text to train on. */
  readonly train: string;
  /** The text that is held out. */
  readonly val: string;
  /** The parts of `train + val`, in order: errors tell a character's place by them. */
  readonly parts: readonly TextPart[];
  /** A prompt that fits the text; the text has every character of it. */
  readonly prompt: string;
  /** One line for the user, such as that another text is used. */
  readonly notice?: string;
}

/** The options that say what is held out: a path, a text, or documents. */
export type HeldOutOption = "valData" | "valText" | "valDocuments";

/** A text to train on and one to validate on. */
export interface TextSplit {
  /** The text to train on. */
  readonly train: string;
  /** The text that is held out. */
  readonly val: string;
}

/** Number of Unicode code points in `text`. */
export const countCharacters = (text: string): number => {
  let count = text.length;
  for (let index = 0; index < text.length; index++) {
    if ((text.codePointAt(index) as number) > 0xffff) {
      count--;
      index++;
    }
  }
  return count;
};

/** UTF-16 index of the code point number `count`. */
const indexOfCharacter = (text: string, count: number): number => {
  let index = 0;
  for (let seen = 0; seen < count && index < text.length; seen++) {
    index += (text.codePointAt(index) as number) > 0xffff ? 2 : 1;
  }
  return index;
};

/**
 * Splits a text of n characters (code points): the first floor((1 − valFraction)·n) to train on, the rest to validate
 * on. Not shuffled: neighbouring text is too alike for a shuffled split to measure anything.
 * @param valFraction in (0, 1).
 * @throws ConfigError for a fraction outside that range.
 */
export const splitText = (text: string, valFraction = 0.1): TextSplit => {
  checkText("text", text);
  if (typeof valFraction !== "number" || !(valFraction > 0 && valFraction < 1)) {
    throw new ConfigError({
      where: "valFraction",
      must: "the held-out share of the text must be above 0 and below 1",
      got: show(valFraction),
      hint: "0.1",
    });
  }
  const trainLength = Math.floor((1 - valFraction) * countCharacters(text));
  const cut = indexOfCharacter(text, trainLength);
  return { train: text.slice(0, cut), val: text.slice(cut) };
};

/** Text with the text before it in its file, to count lines. */
export interface Passage {
  readonly where: string;
  readonly before: string;
  readonly text: string;
}

/** The parts of UTF-16 units `from` to `to` of `text`, in order; joined they are that range. */
export const passagesOf = (text: string, parts: readonly TextPart[], from: number, to: number): readonly Passage[] =>
  parts.flatMap(({ where, start }, index) => {
    const first = Math.max(start, from);
    const end = Math.min(parts[index + 1]?.start ?? text.length, to);
    return first < end ? [{ where, before: text.slice(start, first), text: text.slice(first, end) }] : [];
  });

/** How far into a text a word with a letter is looked for: rules of `====` and marks of headings are no prompts. */
const wordWithin = 2000;

/**
 * The first word of a text that has a letter (at most 24 characters). Without one near its begin it is the first word of any kind,
 * or the first character if it has no word.
 */
export const firstWord = (text: string): string => {
  const lettered = /(?<=^|\s)\S{0,8}?\p{L}/u.exec(text.slice(0, wordWithin))?.index ?? -1;
  const start = lettered === -1 ? text.search(/\S/u) : lettered;
  // A word may be as long as the text, so it is cut: 24 characters are at most 48 UTF-16 units.
  const word = start === -1 ? text.slice(0, 2) : text.slice(start, start + 48);
  return [...(start === -1 ? word : (/^\S+/u.exec(word)?.[0] ?? ""))].slice(0, start === -1 ? 1 : 24).join("");
};
