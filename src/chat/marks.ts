/**
 * Adds and removes marks in messages. This file imports no schemas, because imports would slow down the start of the
 * process for rendering.
 */
import type { TemplateMessage } from "./messages.ts";

/** Marks consist of Unicode's noncharacters U+FDD0 to U+FDEF. Texts for exchange do not contain noncharacters. */
const marks = /[\ufdd0-\ufdef]/gu;
const mark = "\ufdd0";
const end = "\ufdd1";
const firstDigit = 0xfdd2;

/** Mark after the words of an answer. This mark differs from the marks that spell names. */
export const endMark = "\ufde2";

/**
 * Replaces a name of one character by marks that spell its code point. A mark inside such a short name is not possible.
 */
const spell = (name: string): string =>
  [...(name.codePointAt(0) ?? 0).toString(16)]
    .map((digit) => String.fromCharCode(firstDigit + Number.parseInt(digit, 16)))
    .join("") + end;

const spelt = /[\ufdd2-\ufde1]+\ufdd1/gu;

const read = (spelling: string): string =>
  String.fromCodePoint(
    [...spelling.slice(0, -1)].reduce((value, digit) => 16 * value + digit.charCodeAt(0) - firstDigit, 0),
  );

const unmark = (text: string): string => text.replaceAll(spelt, read).replaceAll(marks, "");

/** Messages with marks in the names of special tokens, so that the names stay ordinary text. */
export interface Marked<Message extends TemplateMessage> {
  readonly messages: readonly Message[];
  readonly tools: readonly unknown[];
  /** Removes the marks from a text. */
  readonly unmark: (text: string) => string;
}

/**
 * Marks the names of special tokens in messages: the template may write special tokens, but a message must not. A mark
 * comes after the first character of a name. The rendered text then does not contain the name.
 */
export const markNames = <Message extends TemplateMessage>(
  messages: readonly Message[],
  names: readonly string[],
  tools: readonly unknown[] = [],
): Marked<Message> => {
  const marked = (content: string): string =>
    names.reduce(
      (text, name) => {
        const [first = ""] = name;
        return text.replaceAll(name, first === name ? spell(name) : first + mark + name.slice(first.length));
      },
      content.replaceAll(marks, ""),
    );
  /** Marks all texts inside a JSON value, including keys. */
  const markedAll = (value: unknown): unknown => {
    if (typeof value === "string") return marked(value);
    if (Array.isArray(value)) return value.map(markedAll);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [marked(key), markedAll(one)]));
  };
  return {
    messages: messages.map((message) => {
      const { role, content, ...more } = message;
      return { ...message, ...(markedAll(more) as object), role, content: marked(content) };
    }),
    tools: tools.map(markedAll),
    unmark,
  };
};
