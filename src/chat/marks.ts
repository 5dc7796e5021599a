/** Marks in messages. Without a schema: the process that writes conversations loads this file, and begins the sooner. */
import type { TemplateMessage } from "./messages.ts";

/** Unicode's noncharacters U+FDD0 to U+FDEF, which are in no text that people exchange: marks are made of them. */
const marks = /[\ufdd0-\ufdef]/gu;
const mark = "\ufdd0";
const end = "\ufdd1";
const firstDigit = 0xfdd2;

/** Mark behind the words of an answer: none of those that spell names. */
export const endMark = "\ufde2";

/** A name of one character, spelt in marks: nothing can be put inside of it. */
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

/** Messages whose special tokens' names are marked as ordinary text, and the way back. */
export interface Marked<Message extends TemplateMessage> {
  readonly messages: readonly Message[];
  readonly tools: readonly unknown[];
  /** Removes the marks. */
  readonly unmark: (text: string) => string;
}

/**
 * Marks the names of special tokens in what people wrote: a template writes such tokens, a message must not. A mark follows
 * a name's first character, so the name is not found once the template has written all out.
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
  /** All texts of a value of JSON, keys too. */
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
