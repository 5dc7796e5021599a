/** Message that the user is typing. It survives a reload. */
import { signal } from "@preact/signals";
import { keep, readKept } from "../shell/kept.ts";

export const draft = signal<string>(readKept<string>("chat.draft") ?? "");

export const setDraft = (text: string): void => {
  draft.value = text;
  keep("chat.draft", text);
};

/** Id of the message box, to focus it. */
export const messageBoxId = "chat-message";

/**
 * Whether a key event sends the message: Enter or Ctrl+Enter. Shift+Enter adds a new line. Keys that an input method
 * uses do not send the message.
 */
export const isSendKey = ({
  key,
  shiftKey,
  altKey,
  isComposing,
}: Pick<KeyboardEvent, "key" | "shiftKey" | "altKey" | "isComposing">): boolean =>
  key === "Enter" && !shiftKey && !altKey && !isComposing;
