/** Parses a document from a line of JSON: a conversation or a text, in the forms that common data sets have. */

import { isRecord } from "../core/checks/is-record.ts";
import { DataError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import { loneSurrogateAt, wellFormedText } from "../core/text/surrogate.ts";
import { describeCharacter } from "../tokenizer/unknown.ts";
import type { DocumentMessage, SourceDocument } from "./documents.ts";

/** Maximum number of messages of a conversation. Known data sets have far fewer messages. */
const mostMessages = 10_000;

/** A conversation in the form of most data sets. */
export interface GivenConversation {
  /** The messages in order. The loss counts the messages of the assistant. */
  readonly messages: readonly GivenMessage[];
}

/** A message of a training conversation. */
export interface GivenMessage {
  /** Author of the message: `system`, `user` or `assistant`. */
  readonly role: "system" | "user" | "assistant";
  /** Its text. */
  readonly content: string;
  /** If 0, the loss does not count this answer. Default 1. */
  readonly weight?: 0 | 1 | undefined;
}

/** A conversation in ShareGPT's form. */
export interface GivenShareGpt {
  /** The messages in order. `human` is the user, and `gpt` is the assistant. */
  readonly conversations: readonly {
    /** Author of the message. */
    readonly from: "system" | "human" | "user" | "gpt" | "assistant";
    /** Its text. */
    readonly value: string;
  }[];
}

/** A conversation of two messages: a question and its answer. */
export interface GivenPair {
  /** The user's message. */
  readonly prompt: string;
  /** The assistant's answer. The loss counts the answer. */
  readonly completion: string;
}

/** A plain document. The loss counts the whole text. */
export interface GivenPlainText {
  /** Its text. */
  readonly text: string;
}

/** A training document, in the form of a line of a `.jsonl` file. */
export type GivenDocument = GivenConversation | GivenShareGpt | GivenPair | GivenPlainText;

const roles: Readonly<Record<string, DocumentMessage["role"]>> = {
  system: "system",
  user: "user",
  human: "user",
  assistant: "assistant",
  gpt: "assistant",
};

/**
 * Keys for features other than text, such as tools. A line with such a key is refused, because its answers would be
 * wrong without that feature.
 */
const unsupported = ["tools", "functions", "tool_calls", "function_call"] as const;

const hint =
  '{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}, or {"text": "…"}';

const refuse = (where: string, must: string, got: string, way?: string): never => {
  throw new DataError({ where, must, got, ...(way === undefined ? {} : { hint: way }) });
};

const own = (value: Readonly<Record<string, unknown>>, key: string): unknown =>
  Object.hasOwn(value, key) ? value[key] : undefined;

const has = (value: Readonly<Record<string, unknown>>, key: string): boolean =>
  own(value, key) !== undefined && own(value, key) !== null;

const checkSupported = (value: Readonly<Record<string, unknown>>, where: string): void => {
  const key = unsupported.find((name) => has(value, name));
  if (key === undefined) return;
  const list = own(value, key);
  if (Array.isArray(list) && list.length === 0) return;
  refuse(where, "a document must be only text, without tools", `a key ${show(key)}`, "a line without this key");
};

/** @throws DataError also for half of a surrogate pair. JSON can contain such a half as `\ud800`, but UTF-8 cannot. */
const textOf = (value: unknown, where: string, name: string): string => {
  if (typeof value !== "string") return refuse(where, `${name} must be a text`, show(value));
  const lone = loneSurrogateAt(value);
  if (lone === -1) return value;
  const got = `half of a surrogate pair, ${describeCharacter(value.charCodeAt(lone))}`;
  return refuse(where, `${name} ${wellFormedText}`, got, "both halves, or neither");
};

const messageOf = (
  value: unknown,
  where: string,
  name: string,
  [roleKey, contentKey]: readonly [string, string],
): DocumentMessage => {
  if (!isRecord(value))
    return refuse(where, `${name} must be an object with ${roleKey} and ${contentKey}`, show(value));
  checkSupported(value, where);
  const given = own(value, roleKey);
  const role = typeof given === "string" && Object.hasOwn(roles, given) ? roles[given] : undefined;
  if (role === undefined) {
    return refuse(where, `${name}.${roleKey} must be system, user or assistant`, show(given));
  }
  const content = textOf(own(value, contentKey), where, `${name}.${contentKey}`);
  const weight = own(value, "weight") ?? 1;
  if (weight !== 0 && weight !== 1) refuse(where, `${name}.weight must be 0 or 1`, show(weight));
  return { role, content, counted: role === "assistant" && weight === 1 };
};

const conversationOf = (
  list: unknown,
  where: string,
  name: string,
  keys: readonly [string, string],
): SourceDocument => {
  if (!Array.isArray(list) || list.length === 0 || list.length > mostMessages) {
    const got = Array.isArray(list) ? `a list of ${list.length}` : show(list);
    return refuse(where, `${name} must be a list of 1 to ${mostMessages} messages`, got);
  }
  const messages = Array.from(list, (message, i) => messageOf(message, where, `${name}[${i}]`, keys));
  // Messages after the last counted answer do not affect the loss, so they are dropped.
  const last = messages.findLastIndex(({ counted }) => counted);
  if (last === -1) refuse(where, `${name} must have an answer to learn, a message of the assistant`, "none");
  return { kind: "chat", messages: messages.slice(0, last + 1) };
};

/**
 * Reads a document from a parsed line: `{ messages }`, `{ conversations }`, `{ prompt, completion }` or `{ text }`.
 * Other keys of a line, such as an id, are ignored.
 * @param where place of the line, such as `chat.jsonl:12`.
 * @throws DataError that says which part of the line is wrong.
 */
export const documentOf = (value: unknown, where: string): SourceDocument => {
  if (!isRecord(value)) return refuse(where, "each line must be an object", show(value), hint);
  checkSupported(value, where);
  const kinds = ["messages", "conversations", "completion", "text"].filter((key) => has(value, key));
  // If a line contains both a conversation and `text`, the conversation is used. Data sets often contain the same
  // conversation as text, too.
  const [kind] = kinds;
  switch (kind) {
    case "messages":
      return conversationOf(value.messages, where, "messages", ["role", "content"]);
    case "conversations": {
      const [first] = Array.isArray(value.conversations) ? (value.conversations as unknown[]) : [];
      const usual = isRecord(first) && has(first, "role");
      return conversationOf(
        value.conversations,
        where,
        "conversations",
        usual ? ["role", "content"] : ["from", "value"],
      );
    }
    case "completion": {
      const prompt = textOf(own(value, "prompt"), where, "prompt");
      const completion = textOf(value.completion, where, "completion");
      return {
        kind: "chat",
        messages: [
          { role: "user", content: prompt, counted: false },
          { role: "assistant", content: completion, counted: true },
        ],
      };
    }
    case "text": {
      const text = textOf(value.text, where, "text");
      if (text === "") refuse(where, "text must not be empty", '""');
      return { kind: "text", text };
    }
    default:
      return refuse(
        where,
        "each line must have messages, conversations, prompt and completion, or text",
        Object.keys(value).length === 0 ? "no keys" : `the keys ${Object.keys(value).slice(0, 8).join(", ")}`,
        hint,
      );
  }
};
