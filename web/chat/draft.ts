/** The message that is being typed: it outlives a reload. */
import { signal } from "@preact/signals";
import { keep, readKept } from "../shell/kept.ts";

export const draft = signal<string>(readKept<string>("chat.draft") ?? "");

export const setDraft = (text: string): void => {
  draft.value = text;
  keep("chat.draft", text);
};

/** Where its box is found, to go on writing there. */
export const messageBoxId = "chat-message";

/** Enter alone, or with Ctrl as everywhere; Shift+Enter is a new line, and the keys of an input method belong to the text. */
export const isSendKey = ({
  key,
  shiftKey,
  altKey,
  isComposing,
}: Pick<KeyboardEvent, "key" | "shiftKey" | "altKey" | "isComposing">): boolean =>
  key === "Enter" && !shiftKey && !altKey && !isComposing;
