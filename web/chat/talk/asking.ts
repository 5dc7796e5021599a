/** Requests answers of models and receives them token by token. */
import { signal } from "@preact/signals";
import type { ChatEvent, ChatRequest } from "../../../src/serve/studio/protocol.ts";
import type { Side } from "../../models/columns.ts";
import { oncePerFrame } from "../../parts/once-per-frame.ts";
import { postForEvents } from "../../server/event-stream.ts";
import { models } from "../../server/facts.ts";
import { api } from "../../server/request.ts";
import { candidatesShown, markEnd, type WrittenToken, writtenToken } from "../../tokens/written-token.ts";
import { samplingOf, settings } from "../settings.ts";
import { noteSize } from "../sizes.ts";
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

/** Aborted when the user stops the current answer. Undefined while no answer is being written. */
export const underWay = signal<AbortController | undefined>(undefined);

/** Answer that is being written. */
interface Growing {
  readonly model: string;
  current: Answer;
  readonly tokens: WrittenToken[];
}

const takeEvent = (growing: Growing, event: ChatEvent): void => {
  const { current, tokens } = growing;
  if (event.type === "begin") {
    const { leftOut, paused, sharedWith, parameters } = event;
    noteSize(growing.model, parameters);
    growing.current = { ...current, leftOut, paused, sharedWith };
  } else if (event.type === "token") tokens.push(writtenToken(event));
  else if (event.type === "done") {
    if (event.finishReason === "endOfText") markEnd(tokens);
    growing.current = { ...current, state: "done", isCut: event.finishReason === "length" };
  } else growing.current = { ...current, state: "failed", note: whyOf(event) };
};

/** Stores the current state of an answer in its conversation, which may have changed since the request. */
const draw = (id: number, answer: Answer): void => {
  const conversation = conversations.value.find((one) => one.id === id);
  if (conversation !== undefined) put(withChanged(conversation, answer));
};

/** Requests an answer in a conversation. The model begins the answer or continues it from its current end. */
const writeAnswer = async (conversation: Conversation, answer: Answer, abort: AbortSignal): Promise<void> => {
  const { system } = settings.value;
  const growing: Growing = { model: conversation.model, current: answer, tokens: [...answer.tokens] };
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
  // After a failure, the list of models is loaded again, because it may now say that the model has no chat template.
  if (ended.state === "failed") void models.load();
  draw(conversation.id, ended.state === "writing" ? { ...ended, state: "stopped" } : ended);
  remember();
};

/**
 * Stops the work under way and starts `work`. Only one request runs at a time, because simultaneous requests would
 * share the cores.
 */
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

/** Requests a new answer to a message. Earlier answers are kept. */
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

/** Adds a message of the user to a conversation. @returns its id. */
const say = (conversation: Conversation, parent: number | null, text: string): number => {
  const said: Said = { kind: "said", id: nextId(conversation), parent, text };
  put(withMessage(conversation, said));
  return said.id;
};

/** Sends a message to the models of several columns. Each model answers in its own conversation. */
export const send = (sides: readonly Side[], text: string): Promise<void> =>
  whileUnderWay(async (abort) => {
    // The message appears in all columns before the first model answers.
    const asked = sides.map((side) => {
      const conversation = currentIn(side, settings.value.system);
      return [conversation.id, say(conversation, placeOfNext(conversation), text)] as const;
    });
    for (const [id, said] of asked) await answerTo(id, said, abort);
  });

/** Requests an answer to a message. If the message already has an answer, the next seed is used. */
export const answer = ({ id }: Conversation, said: number): Promise<void> =>
  whileUnderWay((abort) => answerTo(id, said, abort));

/** Removes an incomplete character from the end of the last token's text. The continuation completes the character. */
const withoutHalf = (tokens: readonly WrittenToken[]): readonly WrittenToken[] =>
  tokens.map((token, at) => (at < tokens.length - 1 ? token : { ...token, text: token.text.replace(/\ufffd$/u, "") }));

/** Continues an answer that reached the limit or was stopped. */
export const goOn = (conversation: Conversation, cut: Answer): Promise<void> =>
  whileUnderWay(async (abort) => {
    const growing: Answer = { ...cut, tokens: withoutHalf(cut.tokens), state: "writing", isCut: false, note: "" };
    const now = withChanged(conversation, growing);
    put(now);
    await writeAnswer(now, growing, abort);
  });

/** Adds another wording of a message and requests an answer. The earlier wording is kept as a branch. */
export const sayInstead = (conversation: Conversation, { parent }: Said, text: string): Promise<void> =>
  whileUnderWay((abort) => answerTo(conversation.id, say(conversation, parent, text), abort));
