/** Input box for the next message. */

import { draft, isSendKey, messageBoxId, setDraft } from "./draft.ts";
import { underWay } from "./talk/asking.ts";

const mostLines = 8;
/** Approximate number of lines of a text, for browsers that do not fit the field to its text. */
const linesOf = (text: string): number =>
  Math.min(
    mostLines,
    text.split("\n").reduce((sum, line) => sum + 1 + Math.floor(line.length / 90), 0),
  );

export interface ComposerProps {
  readonly canSend: boolean;
  readonly onSend: () => void;
}

export const Composer = ({ canSend, onSend }: ComposerProps) => (
  <form
    class="composer"
    onSubmit={(event) => {
      event.preventDefault();
      onSend();
    }}
  >
    <label class="field">
      <span class="hidden-text">Message</span>
      <textarea
        id={messageBoxId}
        rows={linesOf(draft.value)}
        placeholder="Your message"
        aria-keyshortcuts="Enter"
        value={draft.value}
        onInput={({ currentTarget }) => setDraft(currentTarget.value)}
        onKeyDown={(event) => {
          if (!isSendKey(event)) return;
          event.preventDefault();
          onSend();
        }}
      />
    </label>
    {underWay.value !== undefined ? (
      <button key="stop" type="button" onClick={() => underWay.value?.abort()}>
        Stop
      </button>
    ) : (
      <button
        key="send"
        type="submit"
        class="primary"
        disabled={!canSend}
        title="Enter sends the message; Shift+Enter begins a new line"
      >
        Send
      </button>
    )}
  </form>
);
