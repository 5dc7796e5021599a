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

/** One array of the ids of several. */
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
 * The ids of a text in which names of special tokens stand for those tokens, as a chat template writes it:
 * `<|im_start|>user`. `Tokenizer.encode` takes such a name for ordinary text. Do not use it on text from others, who
 * could then end a turn or speak for the system.
 * @param ordinary changes the text between special tokens before it is encoded. Default: none.
 * @throws DataError as `encode`.
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

/** `encodeWithSpecials` of a part of a text, from `from` to `to`, encoded by itself. */
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
    // The text before: some tokenizers put a space before the beginning of a text.
    const encode = (part: string): Int32Array => tokenizer.encode(part, "text", text.slice(0, at));
    parts.push(stretch.id === undefined ? encode(ordinary(stretch.text)) : Int32Array.of(stretch.id));
    at += stretch.text.length;
  }
  return joinIds(parts);
};

/** The ids of a text that follows other text, such as a prompt. @throws DataError as `encode`. */
export const encodeInside = (tokenizer: Tokenizer, text: string): Int32Array => tokenizer.encode(text, "text", " ");
