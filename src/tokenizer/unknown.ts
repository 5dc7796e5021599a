/** Characters of a text that a tokenizer lacks, because the model never saw them in training. */
import { z } from "zod";
import { DataError } from "../core/errors/errors.ts";
import type { Tokenizer } from "./tokenizer.ts";

export const unknownChoices = ["error", "skip"] as const;
/** What to do with a text that has unknown characters: refuse the text, or read it without these characters. */
export type UnknownChoice = (typeof unknownChoices)[number];

export const unknownSchema = z
  .enum(unknownChoices)
  .describe(
    "what to do with a character that the model never saw: error refuses the text, skip leaves the character out",
  );

/** Characters of a text that were left out. */
export interface SkippedText {
  /** Number of characters (code points) that were left out, including repetitions. */
  readonly count: number;
  /** Distinct characters that were left out, in the order of the text. */
  readonly characters: readonly string[];
}

/** A character as errors display it: `"é" (U+00E9)`, `"\n" (U+000A)`. */
export const describeCharacter = (codePoint: number): string => {
  const hex = codePoint.toString(16).toUpperCase().padStart(4, "0");
  // Marks, format characters and separators are invisible or change neighbouring characters. For such a character, only
  // the code is shown.
  const character = String.fromCodePoint(codePoint);
  const shown = /^[\p{L}\p{N}\p{P}\p{S} ]$/u.test(character) || codePoint < 0x20;
  return shown ? `${JSON.stringify(character)} (U+${hex})` : `U+${hex}`;
};

/** Maximum number of characters in a line of output. */
const mostListed = 4;

/** A character in a list. Visible ASCII characters are shown without their code. */
const listedCharacter = (character: string): string =>
  /^[!-~]$/u.test(character) ? JSON.stringify(character) : describeCharacter(character.codePointAt(0) ?? 0);

/** A list of characters for display: the first few, and the number of all further characters. */
export const describeCharacters = (characters: readonly string[]): string => {
  const listed = characters.slice(0, mostListed).map(listedCharacter);
  const more = characters.length - listed.length;
  return listed.join(", ") + (more === 0 ? "" : ` and ${more} more`);
};

/** Describes unknown characters, for example: `2 characters that the model never saw: "é" (U+00E9), "ü" (U+00FC)`. */
export const describeSkipped = ({ count, characters }: SkippedText): string =>
  `${count.toLocaleString("en-US")} character${count === 1 ? "" : "s"} that the model never saw: ${describeCharacters(characters)}`;

/** The part of a text that a model reads. */
export interface ReadText {
  readonly text: string;
  readonly ids: Int32Array;
  /** The characters that were left out. Undefined if all characters were read. */
  readonly skipped: SkippedText | undefined;
}

/** Returns `text` without some characters, and the number of removed characters. */
const without = (text: string, characters: ReadonlySet<string>): { readonly known: string; readonly count: number } => {
  // The code collects whole parts of the text, because a list of single characters would take many times the memory of
  // the text.
  const stretches: string[] = [];
  let from = 0;
  let count = 0;
  for (let index = 0; index < text.length; ) {
    const character = String.fromCodePoint(text.codePointAt(index) as number);
    const next = index + character.length;
    if (characters.has(character)) {
      stretches.push(text.slice(from, index));
      from = next;
      count++;
    }
    index = next;
  }
  return { known: stretches.join("") + text.slice(from), count };
};

/**
 * Encodes `text`. With `skip`, characters that the tokenizer lacks are left out.
 * @param where name of `text` in errors.
 * @param hint the error's hint, which names the option that skips characters.
 * @throws DataError for unknown characters, unless `skip` is set.
 */
export const readText = (
  tokenizer: Pick<Tokenizer, "encode">,
  text: string,
  unknown: UnknownChoice,
  where: string,
  hint: string,
): ReadText => {
  try {
    return { text, ids: tokenizer.encode(text, where), skipped: undefined };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    const { characters = [] } = error.details;
    if (characters.length === 0) throw error;
    if (unknown !== "skip") {
      throw new DataError({ ...error.details, hint: `${hint}, or a model with this character in its training text` });
    }
    const { known, count } = without(text, new Set(characters));
    return { text: known, ids: tokenizer.encode(known, where), skipped: { count, characters } };
  }
};
