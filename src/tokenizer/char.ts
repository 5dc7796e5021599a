import { checkText } from "../core/check-arguments.ts";
import { DataError } from "../core/errors.ts";
import { show } from "../core/show.ts";
import type { TokenizerMethods } from "./methods.ts";
import { charTokenizerToJson } from "./tokenizer-json.ts";

/** One token per Unicode code point (not per UTF-16 unit: an emoji is one token; a combining mark is its own). */
export interface CharTokenizer extends TokenizerMethods {
  readonly kind: "char";
  /** The characters in the order of their ids. */
  readonly characters: readonly string[];
}

/** A character as it can be shown in one line of an error: `"é" (U+00E9)`, `"\n" (U+000A)`. */
const describeCharacter = (codePoint: number): string => {
  const hex = codePoint.toString(16).toUpperCase().padStart(4, "0");
  // Marks, formats and separators have no shape of their own, or change their neighbours'.
  const character = String.fromCodePoint(codePoint);
  const shown = /^[\p{L}\p{N}\p{P}\p{S} ]$/u.test(character) || codePoint < 0x20;
  return shown ? `${JSON.stringify(character)} (U+${hex})` : `U+${hex}`;
};

/** Line and column (from 1, in code points) and offset (from 0, in code points) of UTF-16 index `index`. */
const position = (text: string, index: number): string => {
  let line = 1;
  let column = 1;
  let characters = 0;
  for (let at = 0; at < index; at++) {
    const codePoint = text.codePointAt(at) as number;
    if (codePoint > 0xffff) at++;
    characters++;
    column++;
    if (codePoint === 10) [line, column] = [line + 1, 1];
  }
  return `line ${line}, column ${column} (character ${characters})`;
};

/** More than Unicode has assigned, and as many as fit into a `tokenizer.json` that can be read. */
const maxCharacters = 500_000;

const checkIds = (ids: unknown): void => {
  if (typeof ids === "object" && ids !== null && Symbol.iterator in ids) return;
  throw new DataError({ where: "decode", must: "the argument must be a list of token ids", got: show(ids) });
};

const isSurrogate = (codePoint: number): boolean => codePoint >= 0xd800 && codePoint <= 0xdfff;

/**
 * The tokenizer whose ids are the positions in `characters`.
 * @param characters distinct single code points; id i is `characters[i]`.
 */
export const charTokenizer = (characters: readonly string[]): CharTokenizer => {
  const ids = new Map<number, number>();
  characters.forEach((character, id) => {
    ids.set(character.codePointAt(0) as number, id);
  });

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
        throw new DataError({
          where,
          must: `every character must be one of the ${characters.length} that the tokenizer knows`,
          got: `${describeCharacter(codePoint)} at ${position(before + text, before.length + index)}`,
          hint: "text without it, or a model trained on a text that has it",
        });
      }
      out[length++] = id;
      index += codePoint > 0xffff ? 2 : 1;
    }
    // A copy only where characters of two UTF-16 units left room.
    return length === out.length ? out : out.slice(0, length);
  };

  const token = (id: number): string => {
    // A list has other keys than ids.
    const character = typeof id === "number" ? characters[id] : undefined;
    if (character === undefined) {
      throw new DataError({
        where: "decode",
        must: `a token id must be an integer from 0 to ${characters.length - 1}`,
        got: show(id),
      });
    }
    return character;
  };

  const decode = (tokenIds: Iterable<number>): string => {
    checkIds(tokenIds);
    // In blocks: a list of single characters takes many times the memory of the text.
    let text = "";
    let block: string[] = [];
    for (const id of tokenIds) {
      block.push(token(id));
      if (block.length < 4096) continue;
      text += block.join("");
      block = [];
    }
    return text + block.join("");
  };

  return {
    kind: "char",
    vocabSize: characters.length,
    characters,
    encode,
    decode,
    token,
    toJSON: () => charTokenizerToJson(characters),
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
    for (let index = 0; index < text.length; ) {
      const codePoint = text.codePointAt(index) as number;
      if (isSurrogate(codePoint)) {
        throw new DataError({
          where: "tokenizer",
          must: "text must be well-formed Unicode",
          got: `half of a surrogate pair, ${describeCharacter(codePoint)}, at ${position(text, index)}`,
        });
      }
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
