/** Conversations with chat models. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { isDouble, modelOf, type Side, sidesShown } from "../models/columns.ts";
import { ModelChoice } from "../models/model-choice.tsx";
import { modelName } from "../models/model-names.ts";
import { onMainAction } from "../parts/main-action.ts";
import { Notice } from "../parts/notice.tsx";
import { models } from "../server/facts.ts";
import { followRuns, runs } from "../server/run-list.ts";
import { address } from "../shell/address.ts";
import { Legend } from "../tokens/legend.tsx";
import { Column } from "./column.tsx";
import { Composer } from "./composer.tsx";
import { draft, setDraft } from "./draft.ts";
import { beginDouble, endDouble, isReady, leaveGone, takeModels, withoutChat } from "./model-facts.ts";
import { NoChat } from "./no-chat.tsx";
import { chooseModel, followAddress, showsTokens, showTokens } from "./settings.ts";
import { SettingsForm, SystemPrompt } from "./settings-form.tsx";
import { send, underWay } from "./talk/asking.ts";

const canSend = (): boolean => underWay.value === undefined && draft.value.trim() !== "" && sidesShown().every(isReady);

const start = (): void => {
  if (!canSend()) return;
  const text = draft.value;
  setDraft("");
  void send(sidesShown(), text);
};

const Choice = ({ side, label }: { readonly side: Side; readonly label: string }) => (
  <ModelChoice label={label} value={modelOf(side)} onChoose={(key) => chooseModel(side, key)} unusable={withoutChat} />
);

const Toolbar = () => (
  <div class="toolbar">
    <label class="check">
      <input
        type="checkbox"
        checked={showsTokens.value}
        onChange={({ currentTarget }) => showTokens(currentTarget.checked)}
      />
      Tokens
    </label>
    {showsTokens.value && <Legend />}
    <span class="grow" />
    <label class="check">
      <input
        type="checkbox"
        checked={isDouble()}
        disabled={underWay.value !== undefined || models.value.value === undefined}
        onChange={({ currentTarget }) => (currentTarget.checked ? beginDouble : endDouble)()}
      />
      Side by side
    </label>
  </div>
);

const Panel = () => (
  <div class="chat-side">
    <div class={isDouble() ? "chat-models double" : "chat-models"}>
      <Choice side="left" label={isDouble() ? "First model" : "Model"} />
      {isDouble() && <Choice side="right" label="Second model" />}
    </div>
    <div class="chat-settings">
      <SystemPrompt />
      <SettingsForm />
      <Toolbar />
    </div>
  </div>
);

const Talk = () => (
  <div class="chat-talk">
    <div class={isDouble() ? "columns double" : "columns"}>
      {sidesShown().map((side) => (
        <Column key={side} side={side} />
      ))}
    </div>
    <Composer canSend={canSend()} onSend={start} />
  </div>
);

export const ChatView = () => {
  useEffect(() => {
    const unfollow = [followAddress(), followRuns()];
    return () => {
      for (const end of unfollow) end();
      underWay.value?.abort();
    };
  }, []);
  // Value that changes when a run gets a better loss or its first checkpoint. The weights of the run then change too.
  const weights = (runs.value ?? []).map(({ name, best, hasCheckpoint, owner }) =>
    [name, best?.step, hasCheckpoint, owner].join(" "),
  );
  useEffect(() => void models.load(), [weights.join("\n")]);
  const gone = useSignal<readonly string[]>([]);
  useEffect(() => {
    takeModels();
    const left = leaveGone();
    if (left.length > 0) gone.value = left;
  }, [models.value.value, address.value.query]);
  const known = models.value.value?.models;
  const isWithoutChat = known?.every(({ hasChatTemplate }) => hasChatTemplate === false) === true;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys of its fields
    <section class="chat" onKeyDown={onMainAction(start)}>
      <div class="chat-top">
        <h1>Chat</h1>
        {models.failure.value !== undefined && <Notice tone="bad">{models.failure.value.error}</Notice>}
        {gone.value.length > 0 && (
          <Notice tone="plain">
            There is no model {gone.value.map((key) => `“${modelName(key)}”`).join(" and no ")} any more.
          </Notice>
        )}
      </div>
      {isWithoutChat ? (
        <NoChat hasModels={known.length > 0} />
      ) : (
        <>
          <Panel />
          <Talk />
        </>
      )}
    </section>
  );
};
