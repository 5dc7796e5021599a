/** One message and its actions. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Copy } from "../parts/copy.tsx";
import { count, some } from "../parts/format.ts";
import { Notice } from "../parts/notice.tsx";
import { isSendKey, messageBoxId } from "./draft.ts";
import { partsOf } from "./fences.ts";
import { settings, showsTokens } from "./settings.ts";
import { answer as askAgain, goOn, sayInstead, underWay } from "./talk/asking.ts";
import { turnTo } from "./talk/conversations.ts";
import {
  type Answer,
  type Conversation,
  isEmptyAnswer,
  type Message,
  type Said,
  textOf,
  versionsOf,
} from "./talk/tree.ts";
import { TokenAnswer } from "./token-answer.tsx";

interface MessageProps<One extends Message> {
  readonly conversation: Conversation;
  readonly message: One;
}

/** Switches between the branches that begin at a message. */
const Versions = ({ conversation, message }: MessageProps<Message>) => {
  const all = versionsOf(conversation, message);
  const at = all.findIndex(({ id }) => id === message.id);
  if (all.length < 2) return null;
  const step = (by: number, sign: string, label: string) => {
    const to = all[at + by];
    return (
      <button
        type="button"
        class="quiet version-step"
        aria-label={label}
        disabled={to === undefined || underWay.value !== undefined}
        onClick={() => to !== undefined && turnTo(conversation, to)}
      >
        {sign}
      </button>
    );
  };
  return (
    <fieldset class="versions">
      <legend class="hidden-text">Versions of this {message.kind === "said" ? "message" : "answer"}</legend>
      {step(-1, "‹", "Version before")}
      <span class="num">
        {at + 1} of {all.length}
      </span>
      {step(1, "›", "Next version")}
    </fieldset>
  );
};

interface EditProps extends MessageProps<Said> {
  readonly onEnd: () => void;
}

const backToBox = (): void => document.getElementById(messageBoxId)?.focus({ preventScroll: true });

const Edit = ({ conversation, message, onEnd }: EditProps) => {
  const draft = useSignal(message.text);
  const box = useRef<HTMLTextAreaElement>(null);
  useEffect(() => box.current?.focus(), []);
  const canSend = draft.value.trim() !== "" && underWay.value === undefined;
  const send = () => {
    if (!canSend) return;
    onEnd();
    void sayInstead(conversation, message, draft.value);
    backToBox();
  };
  const cancel = () => {
    onEnd();
    backToBox();
  };
  return (
    <form
      class="edit-message"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={box}
        aria-label="Your message, changed"
        rows={Math.min(8, 1 + draft.value.split("\n").length)}
        value={draft.value}
        onInput={({ currentTarget }) => {
          draft.value = currentTarget.value;
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape") cancel();
          else if (isSendKey(event)) send();
          else return;
          event.preventDefault();
        }}
      />
      <p class="row end">
        <button type="button" class="quiet" onClick={cancel}>
          Cancel
        </button>
        <button type="submit" disabled={!canSend}>
          Send
        </button>
      </p>
    </form>
  );
};

interface SaidProps extends MessageProps<Said> {
  /** Id of the message that is being edited. */
  readonly editing: Signal<number | null>;
}

export const SaidMessage = ({ conversation, message, editing }: SaidProps) => (
  <li class="message said">
    <span class="hidden-text">You:</span>
    {editing.value === message.id ? (
      <Edit
        key={message.id}
        conversation={conversation}
        message={message}
        onEnd={() => {
          editing.value = null;
        }}
      />
    ) : (
      <>
        <div class="said-text" dir="auto">
          {message.text}
        </div>
        <div class="message-foot soft">
          <Versions conversation={conversation} message={message} />
          <button
            type="button"
            class="quiet"
            disabled={underWay.value !== undefined}
            onClick={() => {
              editing.value = message.id;
            }}
          >
            Edit
          </button>
        </div>
      </>
    )}
  </li>
);

const meanwhile = ({ paused, sharedWith }: Answer): string => {
  if (paused.length > 0) return `Writing · training of ${paused.join(", ")} is paused`;
  if (sharedWith.length > 0)
    return `Writing · ${sharedWith.join(", ")} is training in another process, so writing and training are slower`;
  return "Writing";
};

const endWords = ({ state, isCut, tokens }: Answer): string => {
  if (state === "stopped") return `stopped after ${some(tokens.length, "token")}`;
  if (state === "failed") return "failed";
  return `${some(tokens.length, "token")}${isCut ? ", cut by the limit" : ""}`;
};

const leftOutWords = (leftOut: number): string =>
  `The conversation is longer than the model’s context. For this answer, the first ${some(leftOut, "message")} ${leftOut === 1 ? "was" : "were"} left out.`;

interface AnswerProps extends MessageProps<Answer> {
  /** Whether this is the last message. Only the last message can be continued. */
  readonly isLast: boolean;
}

const AnswerFoot = ({ conversation, message, isLast }: AnswerProps) => {
  const { state, isCut, tokens, parent, seed } = message;
  const isBusy = underWay.value !== undefined;
  const canGoOn = isLast && tokens.length > 0 && (isCut || state === "stopped" || state === "failed");
  return (
    <div class="message-foot soft">
      <Versions conversation={conversation} message={message} />
      <span class="num">
        {state === "writing" ? meanwhile(message) : endWords(message)}
        {state !== "writing" && ` · seed ${count(seed)}`}
      </span>
      {state !== "writing" && (
        <span class="message-actions">
          {canGoOn && (
            <button type="button" class="quiet" disabled={isBusy} onClick={() => void goOn(conversation, message)}>
              Continue
            </button>
          )}
          <button
            type="button"
            class="quiet"
            disabled={isBusy}
            title={settings.value.temperature === 0 ? "At temperature 0, a new answer would be the same" : undefined}
            onClick={() => parent !== null && void askAgain(conversation, parent)}
          >
            {isEmptyAnswer(message) ? "Try again" : "Another answer"}
          </button>
          {tokens.length > 0 && <Copy quiet label="Copy" text={() => textOf(message)} />}
        </span>
      )}
    </div>
  );
};

export const AnswerMessage = (props: AnswerProps) => {
  const { conversation, message, isLast } = props;
  const { tokens, state, note, leftOut } = message;
  const isWriting = state === "writing";
  return (
    <li class="message answer">
      <span class="hidden-text">The model:</span>
      {isLast && leftOut > 0 && <p class="left-out soft">{leftOutWords(leftOut)}</p>}
      {(tokens.length > 0 || isWriting) && (
        <div class="answer-text written" dir="auto" aria-busy={isWriting}>
          {showsTokens.value ? (
            <TokenAnswer key={message.id} name={`token-${conversation.id}-${message.id}`} tokens={tokens} />
          ) : (
            partsOf(textOf(message)).map(({ isCode, text }, at) => (
              <span key={at} class={isCode ? "answer-code" : undefined}>
                {text}
              </span>
            ))
          )}
          {isWriting && <span class="caret" aria-hidden="true" />}
        </div>
      )}
      {state === "failed" && <Notice tone="bad">{note}</Notice>}
      <AnswerFoot {...props} />
    </li>
  );
};
