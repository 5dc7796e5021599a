/** Conversation with one model. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { modelOf, type Side } from "../models/columns.ts";
import { modelName } from "../models/model-names.ts";
import { Copy } from "../parts/copy.tsx";
import { compact, some } from "../parts/format.ts";
import { Notice } from "../parts/notice.tsx";
import { AnswerMessage, SaidMessage } from "./message.tsx";
import { hasNoTemplate } from "./model-facts.ts";
import { playgroundOf } from "./no-chat.tsx";
import { settings } from "./settings.ts";
import { shortened } from "./shortened.ts";
import { sizeOf } from "./sizes.ts";
import { answer, underWay } from "./talk/asking.ts";
import { beginNew, clear, earlierIn, open, shownIn } from "./talk/conversations.ts";
import { type Conversation, openAiMessages, pathOf, textOf } from "./talk/tree.ts";

const nameOf = ({ messages: [first] }: Conversation): string => shortened(first === undefined ? "" : textOf(first));

const jsonOf = (conversation: Conversation): string =>
  `${JSON.stringify({ messages: openAiMessages(settings.value.system, pathOf(conversation)) }, null, 2)}\n`;

const Earlier = ({ side }: { readonly side: Side }) => {
  const all = earlierIn(side);
  if (all.length === 0) return null;
  return (
    <details class="branches earlier">
      <summary>
        {some(all.length, "earlier conversation")} <span class="soft">to go back to</span>
      </summary>
      <ul>
        {all.map((one) => (
          <li key={one.id}>
            <button
              type="button"
              class="branch"
              disabled={underWay.value !== undefined}
              onClick={() => open(side, one)}
            >
              <span>{nameOf(one)}</span> <span class="soft">{some(one.messages.length, "message")}</span>
            </button>
          </li>
        ))}
      </ul>
    </details>
  );
};

const NoTemplate = ({ model }: { readonly model: string }) => (
  <Notice tone="plain">
    {modelName(model)} has no chat template, so it was not trained on conversations. Use it in the{" "}
    <a href={playgroundOf(model)}>playground</a>, choose another model, or start <code>studio --model hf:NAME</code>{" "}
    with a chat model.
  </Notice>
);

const mostOfSmall = 5e8;

const Size = ({ model }: { readonly model: string }) => {
  const parameters = sizeOf(model);
  if (parameters === undefined) return null;
  return (
    <p class="soft about">
      {compact(parameters)} parameters
      {parameters <= mostOfSmall && ": a small model. It often answers simple questions wrongly."}
    </p>
  );
};

const Head = ({ side, conversation }: { readonly side: Side; readonly conversation: Conversation | undefined }) => {
  const isBusy = underWay.value !== undefined;
  const hasAny = conversation !== undefined || earlierIn(side).length > 0;
  return (
    <div class="conversation-head">
      <div>
        <h2>{modelName(modelOf(side))}</h2>
        <Size model={modelOf(side)} />
      </div>
      {hasAny && (
        <span class="message-actions">
          {conversation !== undefined && (
            <>
              <Copy quiet label="Copy as JSON" text={() => jsonOf(conversation)} />
              <button type="button" class="quiet" disabled={isBusy} onClick={() => beginNew(side)}>
                New conversation
              </button>
            </>
          )}
          <button type="button" class="quiet" disabled={isBusy} onClick={() => clear(side)}>
            Clear conversations
          </button>
        </span>
      )}
    </div>
  );
};

/** Keeps the end of growing content in view, unless the reader has scrolled away from it. */
const useEndInView = (grows: unknown, isWriting: boolean) => {
  const end = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  useEffect(() => {
    const look = () => {
      const top = end.current?.getBoundingClientRect().top ?? 0;
      follows.current = top <= window.innerHeight;
    };
    window.addEventListener("scroll", look, { passive: true });
    return () => window.removeEventListener("scroll", look);
  }, []);
  useEffect(() => {
    if (isWriting) follows.current = true;
  }, [isWriting]);
  useEffect(() => {
    if (isWriting && follows.current) end.current?.scrollIntoView({ block: "nearest" });
  }, [grows, isWriting]);
  return end;
};

export const Column = ({ side }: { readonly side: Side }) => {
  const model = modelOf(side);
  const conversation = shownIn(side);
  const path = conversation === undefined ? [] : pathOf(conversation);
  const last = path.at(-1);
  const isWriting = last?.kind === "answer" && last.state === "writing";
  const editing = useSignal<number | null>(null);
  const end = useEndInView(last?.kind === "answer" ? last.tokens.length : 0, isWriting);
  if (model === "")
    return <section class="conversation" aria-label={side === "left" ? "Conversation" : "Second conversation"} />;
  return (
    <section class="conversation" aria-label={`Conversation with ${modelName(model)}`}>
      <Head side={side} conversation={conversation} />
      {hasNoTemplate(model) && <NoTemplate model={model} />}
      {conversation === undefined || path.length === 0 ? (
        !hasNoTemplate(model) && <p class="soft no-messages">Write a message below: the model answers here.</p>
      ) : (
        <ol class="messages">
          {path.map((message, at) =>
            message.kind === "said" ? (
              <SaidMessage key={at} conversation={conversation} message={message} editing={editing} />
            ) : (
              <AnswerMessage key={at} conversation={conversation} message={message} isLast={message === last} />
            ),
          )}
        </ol>
      )}
      {conversation !== undefined && last?.kind === "said" && underWay.value === undefined && (
        <p class="row">
          <span class="soft">No answer yet.</span>
          <button type="button" onClick={() => void answer(conversation, last.id)}>
            Answer
          </button>
        </p>
      )}
      <p class="hidden-text" role="status">
        {isWriting ? "The model is writing." : last?.kind === "answer" ? "The answer has ended." : ""}
      </p>
      <div ref={end} class="messages-end" />
      <Earlier side={side} />
    </section>
  );
};
