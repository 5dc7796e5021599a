/** Starts, pauses and begins again a training, and says how far it is. */
import type { ComponentChildren } from "preact";
import { count } from "../parts/format.ts";
import { Notice } from "../parts/notice.tsx";
import { engine, isIsolated, pauseSession, sessions, stepOf, trainAgain, trainSession } from "./engine/client.ts";
import type { Opened, SessionName } from "./engine/messages.ts";
import { openCurrent } from "./state.ts";

/** How the page computes, said where it matters. */
const Threads = ({ opened }: { readonly opened: Opened }) => (
  <p class="soft about">
    {count(opened.parameters)} weights. Your browser trains it in this tab, on {opened.threads}{" "}
    {opened.threads === 1 ? "thread" : "threads"}; nothing is sent anywhere.
    {!isIsolated() && " This page may not share memory between threads, so that it computes with one, more slowly."}
  </p>
);

/** Shows its children once the worker has read the text; before, what it waits for. */
export const WhenReady = ({ children }: { readonly children: (opened: Opened) => ComponentChildren }) => {
  const state = engine.value;
  if (state.kind === "failed")
    return (
      <Notice tone="bad">
        {state.error}{" "}
        <button type="button" class="quiet" onClick={openCurrent}>
          Try again
        </button>
      </Notice>
    );
  if (state.kind !== "ready")
    return (
      <p class="soft waiting" role="status">
        The model is being prepared.
      </p>
    );
  return <>{children(state.opened)}</>;
};

export interface ControlsProps {
  readonly session: SessionName;
  readonly opened: Opened;
  /** Of the button that begins, as "Start the race". */
  readonly begin: string;
}

const otherOf: Readonly<Record<SessionName, { readonly name: SessionName; readonly called: string }>> = {
  model: { name: "race", called: "the race of part 5" },
  race: { name: "model", called: "the training of part 4" },
};

export const Controls = ({ session, opened, begin }: ControlsProps) => {
  const record = sessions[session];
  const step = stepOf(record);
  const running = record.running.value;
  const isDone = record.outcomes.length > 0;
  const other = otherOf[session];
  const state = isDone ? "Done" : running ? "Training" : step === 0 ? "Not begun" : "Paused";
  return (
    <div class="controls">
      <p class="row">
        {!isDone && (
          <button
            type="button"
            class={running ? "" : "primary"}
            onClick={() => (running ? pauseSession(session) : trainSession(session))}
          >
            {running ? "Pause" : step === 0 ? begin : "Go on"}
          </button>
        )}
        <button type="button" disabled={step === 0} onClick={() => trainAgain(session)}>
          Start over
        </button>
        <span class="num">
          <span role="status">{state}</span>: step {count(step)} of {count(opened.steps)}
          {!running &&
            !isDone &&
            sessions[other.name].running.value &&
            `; ${other.called} is under way and would pause`}
        </span>
      </p>
      <progress max={opened.steps} value={step} aria-label="Steps done" />
      <Threads opened={opened} />
    </div>
  );
};
