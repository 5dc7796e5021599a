import { checkText } from "../core/checks/check-arguments.ts";
import { DataError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import { decodeTokens } from "./text-stream.ts";
import type { SpecialToken, Tokenizer } from "./tokenizer.ts";
import { charTokenizerToJson, charVocabularyFromJson, endOfTextName } from "./tokenizer-json.ts";
import { describeCharacter, describeCharacters } from "./unknown.ts";
import { checkWellFormed, position } from "./well-formed.ts";

/**
 * Tokenizer with one token per Unicode code point. An emoji is one token, although it has two UTF-16 units. A combining
 * mark is a token of its own.
 */
export interface CharTokenizer extends Tokenizer {
  readonly kind: "char";
  /** Characters in the order of their ids. The ids of special tokens follow. */
  readonly characters: readonly string[];
}

const withoutThem = "text without this character, or a model with this character in its training text";

/** Groups of characters that keyboards and typesetters often exchange. */
const alikes = ["'\u2019\u2018\u02bc`", '"\u201c\u201d\u201e', "-\u2010\u2011\u2013\u2014\u2212", " \u00a0\u202f"];

/** Whether two different characters look alike. */
const looksLike = (one: string, other: string): boolean =>
  one !== other && alikes.some((group) => group.includes(one) && group.includes(other));

/**
 * Maximum number of characters. Unicode has assigned fewer characters, and a `tokenizer.json` of this size can still be
 * read.
 */
const maxCharacters = 500_000;

/**
 * Makes a tokenizer. The ids are the positions in `characters`; the ids of special tokens follow.
 * @param characters distinct single code points; id i is `characters[i]`.
 * @param specialNames distinct names of special tokens. `<|endoftext|>` is the end-of-text token.
 */
export const charTokenizer = (characters: readonly string[], specialNames: readonly string[] = []): CharTokenizer => {
  const ids = new Map<number, number>();
  characters.forEach((character, id) => {
    ids.set(character.codePointAt(0) as number, id);
  });
  const vocabSize = characters.length + specialNames.length;
  const specialTokens = specialNames.map((name, i): SpecialToken => ({ id: characters.length + i, name }));
  const noBytes = new Uint8Array();
  const encoder = new TextEncoder();
  /** Bytes of the tokens, computed when they are first needed. */
  const bytesById = new Array<Uint8Array | undefined>(vocabSize).fill(undefined);

  /** Distinct unknown characters of `text`, in the order of the text. */
  const unknownIn = (text: string): readonly string[] => {
    const found = new Set<number>();
    for (let index = 0; index < text.length; ) {
      const codePoint = text.codePointAt(index) as number;
      if (!ids.has(codePoint)) found.add(codePoint);
      index += codePoint > 0xffff ? 2 : 1;
    }
    return Array.from(found, (codePoint) => String.fromCodePoint(codePoint));
  };

  const encode = (text: string, where = "text", before = ""): Int32Array => {
    checkText("encode: where", where);
    checkText("encode: before", before);
    checkText(where, text);
    const out = new Int32Array(text.length);
    let length = 0;
    for (let index = 0; index < text.length; ) {
      const codePoint = text.codePointAt(index) as number;
      const id = ids.get(codePoint);
      if (id === undefined) {
        const unknown = unknownIn(text);
        const alike = characters.find((character) => looksLike(character, String.fromCodePoint(codePoint)));
        const instead = alike === undefined ? "" : ` (it knows ${describeCharacter(alike.codePointAt(0) ?? 0)})`;
        const others = unknown.length === 1 ? "" : `, and ${describeCharacters(unknown.slice(1))}`;
        throw new DataError({
          where,
          must: `every character must be one of the ${characters.length} that the tokenizer knows`,
          got: `${describeCharacter(codePoint)} at ${position(before + text, before.length + index)}${instead}${others}`,
          hint: withoutThem,
          characters: unknown,
        });
      }
      out[length++] = id;
      index += codePoint > 0xffff ? 2 : 1;
    }
    // The array is copied only if it is too long, because some characters have two UTF-16 units.
    return length === out.length ? out : out.slice(0, length);
  };

  const token = (id: number): string => {
    // Without this check, `id` could be any property name of the array.
    const text = typeof id === "number" ? (characters[id] ?? specialNames[id - characters.length]) : undefined;
    if (text === undefined) {
      throw new DataError({
        where: "decode",
        must: `a token id must be an integer from 0 to ${vocabSize - 1}`,
        got: show(id),
      });
    }
    return text;
  };

  const bytes = (id: number): Uint8Array => {
    // Without this check, `id` could be any property name of the array.
    const known = typeof id === "number" ? bytesById[id] : undefined;
    if (known !== undefined) return known;
    const text = token(id);
    const made = id < characters.length ? encoder.encode(text) : noBytes;
    bytesById[id] = made;
    return made;
  };

  return {
    kind: "char",
    vocabSize,
    characters,
    specialTokens,
    endOfText: specialTokens.find(({ name }) => name === endOfTextName)?.id ?? null,
    encode,
    decode: (tokenIds, options) => decodeTokens({ bytes, specialTokens }, tokenIds, options),
    bytes,
    token,
    toJSON: () => charTokenizerToJson(characters, specialTokens),
  };
};

/** Reads the tokenizer from a parsed `tokenizer.json`. @throws CheckpointError naming the damaged field. */
export const readCharTokenizer = (json: unknown, where: string): CharTokenizer => {
  const { characters, specialNames } = charVocabularyFromJson(json, where);
  return charTokenizer(characters, specialNames);
};

/**
 * Makes a tokenizer of all distinct characters in `texts`, for example in both parts of a corpus. Ids are in the order
 * of the code points, so they do not depend on the order of characters in the texts.
 * @throws DataError if there is no character, or for half of a surrogate pair, which UTF-8 cannot represent.
 */
export const trainCharTokenizer = (...texts: readonly string[]): CharTokenizer => {
  const codePoints = new Set<number>();
  for (const text of texts) {
    checkText("tokenizer", text);
    checkWellFormed("tokenizer", text);
    for (let index = 0; index < text.length; ) {
      const codePoint = text.codePointAt(index) as number;
      codePoints.add(codePoint);
      index += codePoint > 0xffff ? 2 : 1;
    }
  }
  if (codePoints.size === 0) {
    throw new DataError({ where: "tokenizer", must: "the text must have at least one character", got: "none" });
  }
  if (codePoints.size > maxCharacters) {
    throw new DataError({
      where: "tokenizer",
      must: `the text must have at most ${maxCharacters} distinct characters`,
      got: String(codePoints.size),
      hint: "a text in a natural language",
    });
  }
  const sorted = Int32Array.from(codePoints).sort();
  return charTokenizer(Array.from(sorted, (codePoint) => String.fromCodePoint(codePoint)));
};
