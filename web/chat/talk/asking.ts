/** Answers that models write, token by token, and all that asks for one. */
import { signal } from "@preact/signals";
import type { ChatEvent, ChatRequest } from "../../../src/serve/studio/protocol.ts";
import type { Side } from "../../models/columns.ts";
import { oncePerFrame } from "../../parts/once-per-frame.ts";
import { postForEvents } from "../../server/event-stream.ts";
import { models } from "../../server/facts.ts";
import { api } from "../../server/request.ts";
import { candidatesShown, markEnd, type WrittenToken, writtenToken } from "../../tokens/written-token.ts";
import { samplingOf, settings } from "../settings.ts";
import { conversations, currentIn, put, remember } from "./conversations.ts";
import { whyOf } from "./failure.ts";
import {
  type Answer,
  type Conversation,
  nextId,
  openAiMessages,
  pathTo,
  placeOfNext,
  type Said,
  seedFor,
  withChanged,
  withMessage,
  withoutEmpty,
} from "./tree.ts";

/** Fires when the reader stops what is being written; undefined: nothing is. */
export const underWay = signal<AbortController | undefined>(undefined);

/** An answer as it grows. */
interface Growing {
  current: Answer;
  readonly tokens: WrittenToken[];
}

const takeEvent = (growing: Growing, event: ChatEvent): void => {
  const { current, tokens } = growing;
  if (event.type === "begin") {
    const { leftOut, paused, sharedWith } = event;
    growing.current = { ...current, leftOut, paused, sharedWith };
  } else if (event.type === "token") tokens.push(writtenToken(event));
  else if (event.type === "done") {
    if (event.finishReason === "endOfText") markEnd(tokens);
    growing.current = { ...current, state: "done", isCut: event.finishReason === "length" };
  } else growing.current = { ...current, state: "failed", note: whyOf(event) };
};

/** Puts an answer as it is now into its conversation, wherever that has got to meanwhile. */
const draw = (id: number, answer: Answer): void => {
  const conversation = conversations.value.find((one) => one.id === id);
  if (conversation !== undefined) put(withChanged(conversation, answer));
};

/** Has an answer of a conversation written, from its first token or from where it is. */
const writeAnswer = async (conversation: Conversation, answer: Answer, abort: AbortSignal): Promise<void> => {
  const { system } = settings.value;
  const growing: Growing = { current: answer, tokens: [...answer.tokens] };
  const now = (): Answer => ({ ...growing.current, tokens: [...growing.tokens] });
  const body: ChatRequest = {
    model: conversation.model,
    messages: [...openAiMessages(system, pathTo(conversation, answer.parent))],
    ...(answer.tokens.length === 0 ? {} : { answerIds: answer.tokens.map(({ id }) => id) }),
    settings: samplingOf(answer.seed),
    candidates: candidatesShown,
  };
  const { onEvent, end } = oncePerFrame(() => draw(conversation.id, now()));
  try {
    const failure = await postForEvents<ChatEvent>(`${api}/chat`, body, abort, (event) => {
      takeEvent(growing, event);
      onEvent();
    });
    if (failure !== undefined) growing.current = { ...growing.current, state: "failed", note: whyOf(failure) };
  } catch {
    if (!abort.aborted) growing.current = { ...growing.current, state: "failed", note: "The connection was lost." };
  } finally {
    end();
  }
  const ended = now();
  // Whether the model has a chat template is known now, if it was not before.
  if (ended.state === "failed") void models.load();
  draw(conversation.id, ended.state === "writing" ? { ...ended, state: "stopped" } : ended);
  remember();
};

/** One after the other: they would share the cores. */
const whileUnderWay = async (work: (abort: AbortSignal) => Promise<void>): Promise<void> => {
  underWay.value?.abort();
  const controller = new AbortController();
  underWay.value = controller;
  await work(controller.signal);
  if (underWay.value === controller) underWay.value = undefined;
};

const newAnswer = (conversation: Conversation, parent: number): Answer => ({
  kind: "answer",
  id: nextId(conversation),
  parent,
  tokens: [],
  state: "writing",
  isCut: false,
  note: "",
  seed: seedFor(conversation, parent, settings.value.seed),
  leftOut: 0,
  paused: [],
  sharedWith: [],
});

/** Asks for an answer to a message of a conversation, beside those that it has. */
const answerTo = async (id: number, parent: number, abort: AbortSignal): Promise<void> => {
  const now = conversations.value.find((one) => one.id === id);
  if (now === undefined || abort.aborted) return;
  const before = withoutEmpty({ ...now, system: settings.value.system }, parent);
  const answer = newAnswer(before, parent);
  const conversation = withMessage(before, answer);
  put(conversation);
  remember();
  await writeAnswer(conversation, answer, abort);
};

/** Puts a message of the reader into a conversation. @returns its number. */
const say = (conversation: Conversation, parent: number | null, text: string): number => {
  const said: Said = { kind: "said", id: nextId(conversation), parent, text };
  put(withMessage(conversation, said));
  return said.id;
};

/** Sends a message to the models of some columns; each answers in its own conversation. */
export const send = (sides: readonly Side[], text: string): Promise<void> =>
  whileUnderWay(async (abort) => {
    // It is there in all columns before the first one answers.
    const asked = sides.map((side) => {
      const conversation = currentIn(side, settings.value.system);
      return [conversation.id, say(conversation, placeOfNext(conversation), text)] as const;
    });
    for (const [id, said] of asked) await answerTo(id, said, abort);
  });

/** An answer, or another one with the next seed, to a message of a conversation. */
export const answer = ({ id }: Conversation, said: number): Promise<void> =>
  whileUnderWay((abort) => answerTo(id, said, abort));

/** The last token may have been cut within a character, which the next one completes. */
const withoutHalf = (tokens: readonly WrittenToken[]): readonly WrittenToken[] =>
  tokens.map((token, at) => (at < tokens.length - 1 ? token : { ...token, text: token.text.replace(/\ufffd$/u, "") }));

/** An answer that ended before its end goes on. */
export const goOn = (conversation: Conversation, cut: Answer): Promise<void> =>
  whileUnderWay(async (abort) => {
    const growing: Answer = { ...cut, tokens: withoutHalf(cut.tokens), state: "writing", isCut: false, note: "" };
    const now = withChanged(conversation, growing);
    put(now);
    await writeAnswer(now, growing, abort);
  });

/** Another wording of a message, which is answered; the one before stays beside it. */
export const sayInstead = (conversation: Conversation, { parent }: Said, text: string): Promise<void> =>
  whileUnderWay((abort) => answerTo(conversation.id, say(conversation, parent, text), abort));
