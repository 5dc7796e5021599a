/** Starts, pauses and begins again a training, and says how far it is. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { Dialog } from "../parts/dialog.tsx";
import { count } from "../parts/format.ts";
import { Notice } from "../parts/notice.tsx";
import { timeLeftText } from "./chapter/words.ts";
import {
  engine,
  isIsolated,
  keeping,
  pauseSession,
  sessions,
  stepOf,
  trainAgain,
  trainSession,
} from "./engine/client.ts";
import type { Opened, SessionName } from "./engine/messages.ts";
import { openCurrent } from "./state.ts";

/** How the page computes, said where it matters. */
const Threads = ({ opened }: { readonly opened: Opened }) => (
  <p class="soft about">
    {count(opened.parameters)} weights. Your browser trains it in this tab, on {opened.threads}{" "}
    {opened.threads === 1 ? "thread" : "threads"}; nothing is sent anywhere.
    {!isIsolated() && " This page may not share memory between threads, so that it computes with one, more slowly."}
    {keeping.value === null && " Your browser keeps what it has learned, for when you load the page again."}
    {typeof keeping.value === "string" &&
      ` What it learns from now on is gone when you reload or close the page (${keeping.value}).`}
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
  /** Of the button that leads to the outcome, and the heading where that stands. */
  readonly end: { readonly label: string; readonly id: string };
}

const otherOf: Readonly<Record<SessionName, { readonly name: SessionName; readonly called: string }>> = {
  model: { name: "race", called: "The race of part 5" },
  race: { name: "model", called: "The training of part 4" },
};

const goToHeading = (id: string): void => {
  const heading = document.getElementById(id);
  heading?.scrollIntoView({ block: "start" });
  heading?.focus({ preventScroll: true });
};

/** How much longer it takes, by the steps since the reader came or went on. */
const useTimeLeft = (step: number, steps: number, running: boolean): string | undefined => {
  const since = useRef<{ readonly step: number; readonly at: number } | undefined>(undefined);
  if (!running || since.current === undefined || step < since.current.step)
    since.current = running ? { step, at: performance.now() } : undefined;
  const done = since.current === undefined ? 0 : step - since.current.step;
  // The first steps wait for the first text, so that they say too much.
  if (since.current === undefined || done < 5) return undefined;
  return timeLeftText(performance.now() - since.current.at, done, steps - step);
};

export const Controls = ({ session, opened, begin, end }: ControlsProps) => {
  const record = sessions[session];
  const asks = useSignal(false);
  const step = stepOf(record);
  const running = record.running.value;
  const isDone = record.outcomes.length > 0;
  const other = otherOf[session];
  const state = isDone ? "Done" : running ? "Training" : step === 0 ? "Not begun" : "Paused";
  const left = useTimeLeft(step, opened.steps, running);
  const press = () => {
    if (isDone) goToHeading(end.id);
    else if (running) pauseSession(session);
    else trainSession(session);
  };
  return (
    <div class="controls">
      <p class="row">
        <button type="button" class={running && !isDone ? "" : "primary"} onClick={press}>
          {isDone ? end.label : running ? "Pause" : step === 0 ? begin : "Go on"}
        </button>
        <span class="grow" />
        <button
          type="button"
          class="quiet"
          disabled={step === 0}
          onClick={() => {
            asks.value = true;
          }}
        >
          Start over
        </button>
      </p>
      <progress max={opened.steps} value={step} aria-label="Steps done" />
      <p class="num how-far">
        <span role="status">{state}</span>: step {count(step)} of {count(opened.steps)}
        {left !== undefined && !isDone && `, ${left}`}.{running && !isDone && " You can read on: it goes on meanwhile."}
        {step === 0 && !running && " How long it takes stands here once it runs."}
        {!running && !isDone && sessions[other.name].running.value && ` ${other.called} runs now: this would pause it.`}
      </p>
      <Threads opened={opened} />
      {asks.value && (
        <Dialog
          title="Start over?"
          confirm="Delete and start over"
          onConfirm={() => trainAgain(session)}
          onClose={() => {
            asks.value = false;
          }}
        >
          <p>This deletes what the training has reached in {count(step)} steps.</p>
        </Dialog>
      )}
    </div>
  );
};
