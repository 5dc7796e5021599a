/**
 * A conversation as a tree: the parent of each message is the previous message. A second answer, or a changed message,
 * is a new branch, so no text is lost.
 */
import type { Side } from "../../models/columns.ts";
import { plainText } from "../../tokens/token-words.ts";
import type { WrittenToken } from "../../tokens/written-token.ts";

interface Place {
  readonly id: number;
  /** Id of the previous message. Null: the conversation begins here. */
  readonly parent: number | null;
}

/** Message of the user. */
export interface Said extends Place {
  readonly kind: "said";
  readonly text: string;
}

/** Message of the model. */
export interface Answer extends Place {
  readonly kind: "answer";
  readonly tokens: readonly WrittenToken[];
  readonly state: "writing" | "done" | "stopped" | "failed";
  /** Whether the answer ended at its maximum number of tokens. */
  readonly isCut: boolean;
  /** Reason of a failure. */
  readonly note: string;
  readonly seed: number;
  /** Number of oldest messages that were left out because the model's context was too short. */
  readonly leftOut: number;
  /** Runs that are paused while the answer is written, and runs that use the same cores. */
  readonly paused: readonly string[];
  readonly sharedWith: readonly string[];
}

export type Message = Said | Answer;

export interface Conversation {
  readonly id: number;
  /** Column in which the conversation began. */
  readonly side: Side;
  readonly model: string;
  /** System prompt of the last answer. The string is empty if there was no system prompt. */
  readonly system: string;
  readonly messages: readonly Message[];
  /** For each message id, the id of the next message that is shown. The key "first" is for the first message. */
  readonly chosen: Readonly<Record<string, number>>;
}

const keyOf = (parent: number | null): string => (parent === null ? "first" : String(parent));

/** Messages that follow a message, oldest first. */
const after = ({ messages }: Conversation, parent: number | null): readonly Message[] =>
  messages.filter((one) => one.parent === parent);

/** All versions of a message: the message and its siblings. */
export const versionsOf = (conversation: Conversation, { parent }: Message): readonly Message[] =>
  after(conversation, parent);

/** Shown messages: from the first message along the chosen branches. */
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

/** Messages from the first message to the message `id`, inclusive. If `id` is null, there are no messages. */
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

/** Chooses the branch that begins with a message. */
export const withChosen = (conversation: Conversation, { id, parent }: Message): Conversation => ({
  ...conversation,
  chosen: { ...conversation.chosen, [keyOf(parent)]: id },
});

/** Adds a message and shows it. */
export const withMessage = (conversation: Conversation, message: Message): Conversation =>
  withChosen({ ...conversation, messages: [...conversation.messages, message] }, message);

/** Replaces the message with the same id. */
export const withChanged = (conversation: Conversation, message: Message): Conversation => ({
  ...conversation,
  messages: conversation.messages.map((one) => (one.id === message.id ? message : one)),
});

export const nextId = ({ messages }: Conversation): number => 1 + Math.max(0, ...messages.map(({ id }) => id));

/** Whether an answer has no text, only a reason for its failure. */
export const isEmptyAnswer = (message: Message): boolean =>
  message.kind === "answer" && message.tokens.length === 0 && message.state !== "done";

/** Removes the failed answers to a message, which have no text. A new answer replaces them. */
export const withoutEmpty = (conversation: Conversation, parent: number): Conversation => ({
  ...conversation,
  messages: conversation.messages.filter((one) => one.parent !== parent || !isEmptyAnswer(one)),
});

/**
 * Id of the message before the user's next message. Null if the next message begins the conversation. If a message got
 * no answer, the next message becomes its sibling, in a new branch.
 */
export const placeOfNext = (conversation: Conversation): number | null => {
  const last = pathOf(conversation).at(-1);
  if (last === undefined) return null;
  const said = last.kind === "said" ? last : pathTo(conversation, last.parent).at(-1);
  return last.kind === "said" || isEmptyAnswer(last) ? (said?.parent ?? null) : last.id;
};

/**
 * Seed of a new answer. As in `foretoken chat`, each turn has its own seed. A second answer to a message uses the next
 * free seed.
 */
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

/** Messages in the format of OpenAI's protocol, with the system prompt first if there is one. */
export const openAiMessages = (system: string, path: readonly Message[]): readonly OpenAiMessage[] => [
  ...(system === "" ? [] : [{ role: "system", content: system } as const]),
  ...path
    .filter((message) => !isEmptyAnswer(message))
    .map((message): OpenAiMessage => {
      const role = message.kind === "said" ? "user" : "assistant";
      return { role, content: textOf(message) };
    }),
];
