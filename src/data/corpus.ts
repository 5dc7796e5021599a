import { checkText } from "../core/checks/check-arguments.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";

/** A named part of a text, usually a file of a folder. The part ends where the next part begins. */
export interface TextPart {
  /** Name of the part in errors. */
  readonly where: string;
  /** UTF-16 index of the part's first character in the text. */
  readonly start: number;
}

/** A text in two parts. One part is for training, and the other part is held out for validation. */
export interface Corpus {
  /** Short name to show to users: `tiny-shakespeare`, or the name of the file or folder. */
  readonly name: string;
  /** Source of the text: a path or an address. */
  readonly source: string;
  /** The training text. */
  readonly train: string;
  /** The validation text. */
  readonly val: string;
  /** The parts of `train + val`, in order. Errors use the parts to tell where a character is. */
  readonly parts: readonly TextPart[];
  /** A prompt that fits the text. All characters of the prompt occur in the text. */
  readonly prompt: string;
  /** A notice of one line for the user, for example that another text is used. */
  readonly notice?: string;
}

/** Options that set the validation part: a path, a text, or documents. */
export type HeldOutOption = "valData" | "valText" | "valDocuments";

/** A training text and a validation text. */
export interface TextSplit {
  /** The training text. */
  readonly train: string;
  /** The validation text. */
  readonly val: string;
}

/** Returns the number of Unicode code points in `text`. */
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

/** UTF-16 index of code point number `count`. */
const indexOfCharacter = (text: string, count: number): number => {
  let index = 0;
  for (let seen = 0; seen < count && index < text.length; seen++) {
    index += (text.codePointAt(index) as number) > 0xffff ? 2 : 1;
  }
  return index;
};

/**
 * Splits a text of n characters (code points). The first ⌊(1 − valFraction)·n⌋ characters are for training, and all
 * later characters are for validation. The text is not shuffled. Neighbouring passages are so similar that a shuffled
 * split would measure nothing.
 * @param valFraction in (0, 1).
 * @throws ConfigError for a fraction outside (0, 1).
 */
export const splitText = (text: string, valFraction = 0.1): TextSplit => {
  checkText("text", text);
  if (typeof valFraction !== "number" || !(valFraction > 0 && valFraction < 1)) {
    throw new ConfigError({
      where: "valFraction",
      must: "the held-out fraction of the text must be above 0 and below 1",
      got: show(valFraction),
      hint: "0.1",
    });
  }
  const trainLength = Math.floor((1 - valFraction) * countCharacters(text));
  const cut = indexOfCharacter(text, trainLength);
  return { train: text.slice(0, cut), val: text.slice(cut) };
};

/** A passage, together with the text before it in its file. The text before it is needed to count lines. */
export interface Passage {
  readonly where: string;
  readonly before: string;
  readonly text: string;
}

/** The parts of `text` between UTF-16 units `from` and `to`, in order. Joined, the parts give this range. */
export const passagesOf = (text: string, parts: readonly TextPart[], from: number, to: number): readonly Passage[] =>
  parts.flatMap(({ where, start }, index) => {
    const first = Math.max(start, from);
    const end = Math.min(parts[index + 1]?.start ?? text.length, to);
    return first < end ? [{ where, before: text.slice(start, first), text: text.slice(first, end) }] : [];
  });

/**
 * The search for a word with a letter ends after this number of UTF-16 units. (Lines of `====` and heading marks make
 * no good prompts.)
 */
const wordWithin = 2000;

/**
 * The first word of a text that has a letter, cut to at most 24 characters. If no such word is near the beginning, the
 * function returns the first word of any kind. For a text without words, it returns the first character.
 */
export const firstWord = (text: string): string => {
  const lettered = /(?<=^|\s)\S{0,8}?\p{L}/u.exec(text.slice(0, wordWithin))?.index ?? -1;
  const start = lettered === -1 ? text.search(/\S/u) : lettered;
  // A word may be very long, so the text is cut first. 24 characters are at most 48 UTF-16 units.
  const word = start === -1 ? text.slice(0, 2) : text.slice(start, start + 48);
  return [...(start === -1 ? word : (/^\S+/u.exec(word)?.[0] ?? ""))].slice(0, start === -1 ? 1 : 24).join("");
};

/** A heading may be followed by a table of contents, so the search for prose goes further than the search for a word. */
const proseWithin = 2 ** 16;

/** The shortest line that counts as prose. Titles of chapters are shorter. */
const proseLength = 40;

const roman = "m{0,3}(?:cm|cd|d?c{0,3})(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})";
const counted =
  "\\d+|one|two|three|four|five|six|seven|eight|nine|ten|(?:the )?(?:first|second|third|fourth|fifth|last)";
const parts = "act|scene|chapter|book|part|canto|sonnet|stanza|volume|section|letter";
/** A number and nothing else: "II.", "xiv", "3". */
const isNumber = new RegExp(`^(?=\\S)(?:${roman}|\\d+)[.:)]?\\s*$`, "iu");
/** A part and its number: "Act I", "scene ii. A street". */
const isPart = new RegExp(`^(?:${parts})\\s+(?=\\S)(?:${counted}|${roman})(?<after>\\s*$|[.,:;–—-]|\\s)`, "iu");
const isOpening = /^(?:prologue|epilogue|preface|introduction|contents|dramatis person(?:ae|æ))[.:]?\s*$/iu;

/**
 * Whether a line is a heading: capitals only, a number, or a part of a book or play. A name and a colon, as in a play, is
 * no heading.
 */
const isHeading = (line: string): boolean => {
  if (isNumber.test(line) || isOpening.test(line)) return true;
  // A sentence may begin in the same way, without punctuation after the number: "Part one of the story was told".
  const after = isPart.exec(line)?.groups?.after;
  if (after !== undefined && (after.trim() !== "" || line.length < proseLength)) return true;
  // Two tests, because one expression for both would take quadratic time for a long line.
  return /\p{Lu}/u.test(line) && !/[\p{Ll}\p{Lo}]/u.test(line) && !/:\s*$/u.test(line);
};

/** The first words of a line, at most 24 characters long. Undefined if the first word is longer. */
const firstWords = (line: string): string | undefined =>
  [/^(?:\S+\s+){2}\S+/u, /^\S+\s+\S+/u, /^\S+/u]
    .map((form) => form.exec(line)?.[0] ?? "")
    .find((opening) => opening !== "" && opening.length <= 24);

/**
 * A prompt that fits a text: its first word, or the first words of its prose if the text begins with a heading. If no
 * line is as long as a line of prose, two neighbouring lines of at least three words count as verse.
 */
export const openingWords = (text: string): string => {
  const first = firstWord(text);
  const beginning = text.slice(0, proseWithin);
  const at = Math.max(0, beginning.indexOf(first));
  if (!isHeading(/^[^\r\n]*/u.exec(beginning.slice(at))?.[0] ?? "")) return first;
  let before: { readonly line: string; readonly end: number } | undefined;
  let verse: string | undefined;
  // A line may begin with a single capital: "I was born", "A ship". A line with capitals only is a heading.
  for (const match of beginning.matchAll(/^[ \t]*((?:\p{Lu}?\p{Ll}|\p{Lu}[ '’])[^\r\n]*)$/gmu)) {
    const [whole, line = ""] = match;
    if (!/\p{Ll}/u.test(line) || isHeading(line) || !/^(?:\S+\s+){2}\S/u.test(line)) continue;
    if (line.length >= proseLength && /^(?:\S+\s+){4}\S/u.test(line)) return firstWords(line) ?? first;
    if (before?.end === match.index - 1) verse ??= firstWords(before.line);
    before = { line, end: match.index + whole.length };
  }
  return verse ?? first;
};
