import { checkFunction, checkText, checkTokenizer } from "../core/checks/check-arguments.ts";
import { type NameFinder, nameFinder } from "./names-in-text.ts";
import type { Tokenizer } from "./tokenizer.ts";

const finders = new WeakMap<object, NameFinder>();

const finderOf = ({ specialTokens }: Tokenizer): NameFinder => {
  const known = finders.get(specialTokens);
  if (known !== undefined) return known;
  const made = nameFinder(specialTokens);
  finders.set(specialTokens, made);
  return made;
};

/** Concatenates arrays of ids. */
export const joinIds = (parts: readonly Int32Array[]): Int32Array => {
  const joined = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
};

/**
 * Encodes a text in which names of special tokens represent these tokens, for example `<|im_start|>user` in a chat
 * template. `Tokenizer.encode` treats such names as ordinary text. Do not use this function on untrusted text, because
 * such text could end a message or pretend to be a system message.
 * @param ordinary changes the text between special tokens before it is encoded. Default: no change.
 * @throws DataError for the same texts as `encode`.
 */
export const encodeWithSpecials = (
  tokenizer: Tokenizer,
  text: string,
  ordinary: (text: string) => string = (stretch) => stretch,
): Int32Array => {
  checkTokenizer("encodeWithSpecials: tokenizer", tokenizer);
  checkText("encodeWithSpecials: text", text);
  checkFunction("encodeWithSpecials: ordinary", ordinary);
  return encodePart(tokenizer, text, 0, text.length, ordinary);
};

/** Does the same as `encodeWithSpecials`, for the part of a text from `from` to `to`. */
export const encodePart = (
  tokenizer: Tokenizer,
  text: string,
  from: number,
  to: number,
  ordinary: (text: string) => string,
): Int32Array => {
  const parts: Int32Array[] = [];
  let at = from;
  for (const stretch of finderOf(tokenizer)(text.slice(from, to))) {
    // The preceding text is given, because some tokenizers add a space only at the beginning of a text.
    const encode = (part: string): Int32Array => tokenizer.encode(part, "text", text.slice(0, at));
    parts.push(stretch.id === undefined ? encode(ordinary(stretch.text)) : Int32Array.of(stretch.id));
    at += stretch.text.length;
  }
  return joinIds(parts);
};

/** Ids of a text that continues other text, for example a prompt. @throws DataError for the same texts as `encode`. */
export const encodeInside = (tokenizer: Tokenizer, text: string): Int32Array => tokenizer.encode(text, "text", " ");
