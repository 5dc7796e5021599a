import { checkText } from "../core/checks/check-arguments.ts";
import { DataError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import { decodeTokens } from "./text-stream.ts";
import type { SpecialToken, Tokenizer } from "./tokenizer.ts";
import { charTokenizerToJson, endOfTextName } from "./tokenizer-json.ts";
import { describeCharacter, describeCharacters } from "./unknown.ts";
import { checkWellFormed, position } from "./well-formed.ts";

/** One token per Unicode code point (not per UTF-16 unit: an emoji is one token; a combining mark is its own). */
export interface CharTokenizer extends Tokenizer {
  readonly kind: "char";
  /** The characters in the order of their ids; special tokens follow. */
  readonly characters: readonly string[];
}

const withoutThem = "text without it, or a model trained on a text that has it";

/** Characters that keyboards and typesetters take for one another. */
const alikes = ["'\u2019\u2018\u02bc`", '"\u201c\u201d\u201e', "-\u2010\u2011\u2013\u2014\u2212", " \u00a0\u202f"];

/** Whether two different characters look alike. */
const looksLike = (one: string, other: string): boolean =>
  one !== other && alikes.some((group) => group.includes(one) && group.includes(other));

/** More than Unicode has assigned, and as many as fit into a readable `tokenizer.json`. */
const maxCharacters = 500_000;

/**
 * The tokenizer whose ids are the positions in `characters`, followed by special tokens.
 * @param characters distinct single code points; id i is `characters[i]`.
 * @param specialNames names of special tokens, each once. One named `<|endoftext|>` is the end of a text.
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
  /** Made when they are needed. */
  const bytesById = new Array<Uint8Array | undefined>(vocabSize).fill(undefined);

  /** The unknown characters of `text`, each once, in its order. */
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
    // A copy only if characters of two UTF-16 units left room.
    return length === out.length ? out : out.slice(0, length);
  };

  const token = (id: number): string => {
    // A list has other keys than ids.
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
    // Only for a number: another kind of key could be anything.
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

/**
 * The tokenizer of the distinct characters of `texts` (say, a corpus's train and validation parts), sorted by code
 * point: the same characters give the same ids in whatever order they come.
 * @throws DataError when there is no character, or half of a surrogate pair, which no UTF-8 file can hold.
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
      hint: "a text in a language",
    });
  }
  const sorted = Int32Array.from(codePoints).sort();
  return charTokenizer(Array.from(sorted, (codePoint) => String.fromCodePoint(codePoint)));
};
