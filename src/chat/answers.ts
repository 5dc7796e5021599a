/**
 * Conversations as a template writes them, with the places of their answers. A place is not searched for: a mark is put
 * behind the words of every answer, and the template is asked what it writes before an answer and up to its end.
 */
import { Template } from "@huggingface/jinja";
import type { ChatTemplate } from "../pretrained/model/language-model.ts";
import { type NameFinder, nameFinder } from "../tokenizer/names-in-text.ts";
import { endMark } from "./marks.ts";
import type { ChatMessage } from "./messages.ts";

/** An answer in a written conversation, as UTF-16 indices. */
export interface WrittenAnswer {
  /** Number of its message. */
  readonly message: number;
  /** Where the model begins to write: behind what the template writes for it. */
  readonly from: number;
  /** Where it ends: behind its end-of-turn token, or whatever the template writes in the place of one. */
  readonly to: number;
}

/** A conversation, or a part of one, as a template writes it. */
export interface WrittenText {
  readonly text: string;
  readonly answers: readonly WrittenAnswer[];
}

/** A written conversation: several texts where a template writes earlier answers in another form than the last one. */
export type Written = { readonly texts: readonly WrittenText[] } | { readonly fault: string };

/** Writes conversations whose messages have no marks. */
export type WriteConversation = (messages: readonly ChatMessage[]) => Written;

/** A template, and the names of the tokenizer's special tokens, of which the first one behind an answer ends its turn. */
export interface LearnedTemplate extends ChatTemplate {
  readonly names: readonly string[];
}

/** Length of what two texts begin with alike. */
const commonLength = (one: string, other: string): number => {
  const most = Math.min(one.length, other.length);
  let length = 0;
  while (length < most && one.charCodeAt(length) === other.charCodeAt(length)) length++;
  return length;
};

/** Puts the mark behind the words of an answer: before its last spaces, which a template may remove. */
const marked = (message: ChatMessage): ChatMessage => {
  if (message.role !== "assistant") return message;
  const { content } = message;
  const end = content.trimEnd().length;
  return { ...message, content: content.slice(0, end) + endMark + content.slice(end) };
};

/** What a template writes before an answer, and up to its end. */
interface Turn extends WrittenAnswer {
  /** The conversation up to the answer's end. */
  readonly upTo: string;
}

/** Writes messages, with a place for an answer where `opens`. */
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
    throw new Error(`what it writes before message ${message + 1} is not what it writes with it`);
  }
  const mark = upTo.indexOf(endMark, before.length);
  if (mark === -1 || upTo.includes(endMark, mark + 1)) {
    throw new Error(`message ${message + 1} is not in it once, behind its place`);
  }
  let to = mark + endMark.length;
  for (const { text, id } of find(upTo.slice(to))) {
    to += text.length;
    if (id !== undefined) break;
  }
  return { message, from: before.length, to, upTo };
};

/**
 * A writer for one template. All answers are in one text where each prompt, as the model sees it when it answers, is what
 * the whole begins with. Else each answer has a text of its own, which ends with it.
 * @throws the template's own error, if it cannot be read.
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
