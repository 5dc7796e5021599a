/**
 * A conversation as a tree: messages follow the ones that they answer. Another answer, or another wording of a message, is a
 * branch beside the first one, so nothing that was written is lost.
 */
import type { Side } from "../../models/columns.ts";
import { plainText } from "../../tokens/token-words.ts";
import type { WrittenToken } from "../../tokens/written-token.ts";

interface Place {
  readonly id: number;
  /** The message before; null: the conversation begins with it. */
  readonly parent: number | null;
}

/** A message of the reader. */
export interface Said extends Place {
  readonly kind: "said";
  readonly text: string;
}

/** A message of the model. */
export interface Answer extends Place {
  readonly kind: "answer";
  readonly tokens: readonly WrittenToken[];
  readonly state: "writing" | "done" | "stopped" | "failed";
  /** It ended at its most tokens. */
  readonly isCut: boolean;
  /** Why it failed. */
  readonly note: string;
  readonly seed: number;
  /** The oldest messages that the model did not read for it. */
  readonly leftOut: number;
  /** Runs that stand still, and runs that share the cores, while it is written. */
  readonly paused: readonly string[];
  readonly sharedWith: readonly string[];
}

export type Message = Said | Answer;

export interface Conversation {
  readonly id: number;
  /** The column that it was begun in. */
  readonly side: Side;
  readonly model: string;
  /** The system prompt that its last answer was asked with; empty: none. */
  readonly system: string;
  readonly messages: readonly Message[];
  /** By a message's id, or "first": the one of those that follow it that is shown. */
  readonly chosen: Readonly<Record<string, number>>;
}

const keyOf = (parent: number | null): string => (parent === null ? "first" : String(parent));

/** Messages that follow one, in the order in which they were written. */
const after = ({ messages }: Conversation, parent: number | null): readonly Message[] =>
  messages.filter((one) => one.parent === parent);

/** The message itself, and all that stand in its place in other branches. */
export const versionsOf = (conversation: Conversation, { parent }: Message): readonly Message[] =>
  after(conversation, parent);

/** The messages that are shown: from the first one along the chosen branches. */
export const pathOf = (conversation: Conversation): readonly Message[] => {
  const path: Message[] = [];
  for (let parent: number | null = null; ; ) {
    const all: readonly Message[] = after(conversation, parent);
    const wanted: number | undefined = conversation.chosen[keyOf(parent)];
    const next: Message | undefined = all.find(({ id }) => id === wanted) ?? all.at(-1);
    if (next === undefined) return path;
    path.push(next);
    parent = next.id;
  }
};

/** The messages up to one, that one included; null: none. */
export const pathTo = ({ messages }: Conversation, id: number | null): readonly Message[] => {
  const path: Message[] = [];
  for (let at = id; at !== null; ) {
    const message = messages.find((one) => one.id === at);
    if (message === undefined) break;
    path.unshift(message);
    at = message.parent;
  }
  return path;
};

/** Shows the branch that begins with a message. */
export const withChosen = (conversation: Conversation, { id, parent }: Message): Conversation => ({
  ...conversation,
  chosen: { ...conversation.chosen, [keyOf(parent)]: id },
});

/** With a new message, which is shown. */
export const withMessage = (conversation: Conversation, message: Message): Conversation =>
  withChosen({ ...conversation, messages: [...conversation.messages, message] }, message);

/** With a message in the place of the one with its id. */
export const withChanged = (conversation: Conversation, message: Message): Conversation => ({
  ...conversation,
  messages: conversation.messages.map((one) => (one.id === message.id ? message : one)),
});

export const nextId = ({ messages }: Conversation): number => 1 + Math.max(0, ...messages.map(({ id }) => id));

/** There is nothing of it but the reason. */
export const isEmptyAnswer = (message: Message): boolean =>
  message.kind === "answer" && message.tokens.length === 0 && message.state !== "done";

/** Without the answers after a message that have no text: another one takes their place. */
export const withoutEmpty = (conversation: Conversation, parent: number): Conversation => ({
  ...conversation,
  messages: conversation.messages.filter((one) => one.parent !== parent || !isEmptyAnswer(one)),
});

/**
 * The message that the reader's next one follows; null: it begins the conversation. One that got no answer is not followed:
 * the next one stands in its place, in a branch of its own.
 */
export const placeOfNext = (conversation: Conversation): number | null => {
  const last = pathOf(conversation).at(-1);
  if (last === undefined) return null;
  const said = last.kind === "said" ? last : pathTo(conversation, last.parent).at(-1);
  return last.kind === "said" || isEmptyAnswer(last) ? (said?.parent ?? null) : last.id;
};

/** Each answer has a seed of its own, as in `foretoken chat`; another answer has the next one that is free. */
export const seedFor = (conversation: Conversation, parent: number, first: number): number => {
  const turn = pathTo(conversation, parent).filter(({ kind }) => kind === "said").length - 1;
  const taken = new Set(after(conversation, parent).flatMap((one) => (one.kind === "answer" ? [one.seed] : [])));
  let seed = first + turn;
  while (taken.has(seed)) seed++;
  return seed;
};

export const textOf = (message: Message): string =>
  message.kind === "said" ? message.text : message.tokens.map(plainText).join("");

export interface OpenAiMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** Messages in the form of OpenAI's protocol, after the system prompt if there is one. */
export const openAiMessages = (system: string, path: readonly Message[]): readonly OpenAiMessage[] => [
  ...(system === "" ? [] : [{ role: "system", content: system } as const]),
  ...path
    .filter((message) => !isEmptyAnswer(message))
    .map((message): OpenAiMessage => {
      const role = message.kind === "said" ? "user" : "assistant";
      return { role, content: textOf(message) };
    }),
];
