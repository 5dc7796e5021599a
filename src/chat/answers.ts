/**
 * Renders conversations with a chat template and finds the positions of the answers. The code does not search for the
 * words of an answer, but puts a mark after them. The code also renders the conversation up to the beginning and up to
 * the end of each answer.
 */
import { Template } from "@huggingface/jinja";
import type { ChatTemplate } from "../pretrained/model/language-model.ts";
import { type NameFinder, nameFinder } from "../tokenizer/names-in-text.ts";
import { endMark } from "./marks.ts";
import type { ChatMessage } from "./messages.ts";

/** An answer in a rendered conversation. Positions are UTF-16 indices. */
export interface WrittenAnswer {
  /** Index of the answer's message. */
  readonly message: number;
  /** Position at which the model begins to write, after the text that the template puts before an answer. */
  readonly from: number;
  /**
   * End of the answer, after its end-of-turn token. If the template writes other text instead of such a token, the
   * answer ends after this text.
   */
  readonly to: number;
}

/** A rendered conversation, or a part of one. */
export interface WrittenText {
  readonly text: string;
  readonly answers: readonly WrittenAnswer[];
}

/**
 * Result of rendering a conversation: usually one text. If the template formats earlier answers differently from the
 * last answer, the result is several texts.
 */
export type Written = { readonly texts: readonly WrittenText[] } | { readonly fault: string };

/** Renders conversations. The messages must not contain marks. */
export type WriteConversation = (messages: readonly ChatMessage[]) => Written;

/**
 * A chat template, with the names of the tokenizer's special tokens. The first special token after an answer ends the
 * turn.
 */
export interface LearnedTemplate extends ChatTemplate {
  readonly names: readonly string[];
}

/** Length of the common prefix of two texts. */
const commonLength = (one: string, other: string): number => {
  const most = Math.min(one.length, other.length);
  let length = 0;
  while (length < most && one.charCodeAt(length) === other.charCodeAt(length)) length++;
  return length;
};

/**
 * Puts the mark directly after the words of an answer. Trailing spaces come after the mark, because a template may
 * remove them.
 */
const marked = (message: ChatMessage): ChatMessage => {
  if (message.role !== "assistant") return message;
  const { content } = message;
  const end = content.trimEnd().length;
  return { ...message, content: content.slice(0, end) + endMark + content.slice(end) };
};

/** An answer, with the rendered conversation up to the end of the answer. */
interface Turn extends WrittenAnswer {
  /** The conversation up to the end of the answer. */
  readonly upTo: string;
}

/** Renders messages. @param opens whether to add the beginning of an answer. */
type Write = (messages: readonly ChatMessage[], opens: boolean) => string;

const turnOf = (
  write: Write,
  find: NameFinder,
  messages: readonly ChatMessage[],
  message: number,
  whole: string,
): Turn => {
  const before = write(messages.slice(0, message), true);
  const upTo = message === messages.length - 1 ? whole : write(messages.slice(0, message + 1), false);
  if (!upTo.startsWith(before)) {
    throw new Error(`the text before message ${message + 1} changes when the message is added`);
  }
  const mark = upTo.indexOf(endMark, before.length);
  if (mark === -1 || upTo.includes(endMark, mark + 1)) {
    throw new Error(`the text of message ${message + 1} does not appear exactly once`);
  }
  let to = mark + endMark.length;
  for (const { text, id } of find(upTo.slice(to))) {
    to += text.length;
    if (id !== undefined) break;
  }
  return { message, from: before.length, to, upTo };
};

/**
 * Creates a writer for one template. The writer checks that the rendered conversation begins with the exact prompt of
 * each answer. If it does, one text contains all answers. Otherwise each answer gets its own text, which ends with the
 * answer.
 * @throws the template's own error if the template cannot be parsed.
 */
export const conversationWriter = ({ template, bosToken, eosToken, names }: LearnedTemplate): WriteConversation => {
  const program = new Template(template);
  const find = nameFinder(names.map((name, id) => ({ id, name })));
  const write: Write = (messages, opens) =>
    program.render({ messages, add_generation_prompt: opens, bos_token: bosToken, eos_token: eosToken });
  return (given) => {
    try {
      const messages = given.map(marked);
      const whole = write(messages, false);
      const turns = messages.flatMap(({ role }, i) =>
        role === "assistant" ? [turnOf(write, find, messages, i, whole)] : [],
      );
      if (turns.every(({ upTo, to }) => commonLength(upTo, whole) >= to)) {
        return { texts: [{ text: whole, answers: turns.map(({ upTo, ...answer }) => answer) }] };
      }
      return { texts: turns.map(({ upTo, ...answer }) => ({ text: upTo, answers: [answer] })) };
    } catch (error) {
      return { fault: error instanceof Error ? error.message : String(error) };
    }
  };
};
