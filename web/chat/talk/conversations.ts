/** Conversations with all models, and the conversation that each column shows. */
import { signal } from "@preact/signals";
import { modelOf, type Side, sidesShown } from "../../models/columns.ts";
import { keep, keepIfItFits, readKept } from "../../shell/kept.ts";
import { change } from "../settings.ts";
import { conversationsOf, type KeptConversation, keptForm } from "./kept-form.ts";
import { type Conversation, type Message, withChosen } from "./tree.ts";

/** Id of the shown conversation, by column and model key. */
type Shown = Readonly<Record<Side, Readonly<Record<string, number>>>>;
const nothing: Shown = { left: {}, right: {} };

export const conversations = signal<readonly Conversation[]>(
  conversationsOf(readKept<readonly KeptConversation[]>("chat.conversations") ?? []),
);
const shown = signal<Shown>(readKept<Shown>("chat.shown") ?? nothing);

/** If the browser's storage is too small for all data, only the texts are stored. */
export const remember = (): void => {
  const all = conversations.value;
  if (!keepIfItFits("chat.conversations", keptForm(all, true))) keep("chat.conversations", keptForm(all, false));
  keep("chat.shown", shown.value);
};

const shownId = (side: Side): number | undefined => shown.value[side][modelOf(side)];

/**
 * Conversation that a column shows. Undefined: a new conversation without messages. Two columns never show the same
 * conversation.
 */
export const shownIn = (side: Side): Conversation | undefined => {
  const wanted = shownId(side);
  if (side === "right" && wanted === shownId("left")) return undefined;
  return conversations.value.find(({ id, model }) => id === wanted && model === modelOf(side));
};

/** Conversations with a column's model that no column shows, newest first. */
export const earlierIn = (side: Side): readonly Conversation[] => {
  const here = sidesShown().map((one) => shownIn(one)?.id);
  return conversations.value.filter(({ id, model }) => model === modelOf(side) && !here.includes(id)).toReversed();
};

const showId = (side: Side, id: number | undefined): void => {
  const { [modelOf(side)]: _, ...others } = shown.value[side];
  shown.value = { ...shown.value, [side]: id === undefined ? others : { ...others, [modelOf(side)]: id } };
};

/** Shows a conversation and restores its system prompt. */
export const open = (side: Side, { id, system }: Conversation): void => {
  showId(side, id);
  change({ system });
  remember();
};

/** Shows an empty conversation. The previous conversation is kept. */
export const beginNew = (side: Side): void => {
  showId(side, undefined);
  remember();
};

/** Deletes all conversations with a column's model. */
export const clear = (side: Side): void => {
  const model = modelOf(side);
  conversations.value = conversations.value.filter((one) => one.model !== model);
  remember();
};

/** Conversation that a column shows, or a new conversation in this column. */
export const currentIn = (side: Side, system: string): Conversation => {
  const known = shownIn(side);
  if (known !== undefined) return known;
  const id = 1 + Math.max(0, ...conversations.value.map((one) => one.id));
  const begun: Conversation = { id, side, model: modelOf(side), system, messages: [], chosen: {} };
  conversations.value = [...conversations.value, begun];
  showId(side, id);
  return begun;
};

/** Replaces the stored conversation with the same id. */
export const put = (conversation: Conversation): void => {
  conversations.value = conversations.value.map((one) => (one.id === conversation.id ? conversation : one));
};

/** Shows another version of a message. */
export const turnTo = (conversation: Conversation, message: Message): void => {
  put(withChosen(conversation, message));
  remember();
};
