/** The box for the next message. */
import { signal } from "@preact/signals";
import { keep, readKept } from "../shell/kept.ts";
import { underWay } from "./asking.ts";

const draft = signal<string>(readKept<string>("chat.draft") ?? "");
const setDraft = (text: string): void => {
  draft.value = text;
  keep("chat.draft", text);
};

/** Where the box is found, to go on writing there. */
export const messageBoxId = "chat-message";

const mostLines = 8;
/** Lines that a text takes, about, for browsers that do not fit the field to it. */
const linesOf = (text: string): number =>
  Math.min(
    mostLines,
    text.split("\n").reduce((sum, line) => sum + 1 + Math.floor(line.length / 90), 0),
  );

/** Enter alone; the keys of an input method belong to the text. */
export const isSendKey = ({ key, shiftKey, ctrlKey, metaKey, altKey, isComposing }: KeyboardEvent): boolean =>
  key === "Enter" && !shiftKey && !altKey && !isComposing && !(ctrlKey && metaKey);

export interface ComposerProps {
  /** Why nothing can be sent; undefined: it can. */
  readonly isReady: boolean;
  readonly onSend: (text: string) => void;
}

export const Composer = ({ isReady, onSend }: ComposerProps) => {
  const isWriting = underWay.value !== undefined;
  const text = draft.value;
  const canSend = isReady && !isWriting && text.trim() !== "";
  const send = () => {
    if (!canSend) return;
    setDraft("");
    onSend(text);
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <label class="field">
        <span class="hidden-text">Message</span>
        <textarea
          id={messageBoxId}
          rows={linesOf(text)}
          placeholder="Your message"
          aria-keyshortcuts="Enter"
          value={text}
          onInput={({ currentTarget }) => setDraft(currentTarget.value)}
          onKeyDown={(event) => {
            if (!isSendKey(event)) return;
            event.preventDefault();
            send();
          }}
        />
      </label>
      {isWriting ? (
        <button key="stop" type="button" onClick={() => underWay.value?.abort()}>
          Stop
        </button>
      ) : (
        <button key="send" type="submit" class="primary" disabled={!canSend} title="Enter; Shift+Enter is a new line">
          Send
        </button>
      )}
    </form>
  );
};
