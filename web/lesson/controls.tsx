/** Buttons that start, pause and restart a training, and its progress. */
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

/** Says how the page computes and what it keeps. */
const Threads = ({ opened }: { readonly opened: Opened }) => (
  <p class="soft about">
    {count(opened.parameters)} weights. Your browser trains the model in this tab, on {opened.threads}{" "}
    {opened.threads === 1 ? "thread" : "threads"}; nothing is sent anywhere.
    {!isIsolated() && " This page cannot share memory between threads, so it uses one thread and is slower."}
    {keeping.value === null && " Your browser keeps the trained model; you find it when you load the page again."}
    {typeof keeping.value === "string" &&
      ` From now on, training is lost when you reload or close the page (${keeping.value}).`}
  </p>
);

/** Shows its children after the worker has read the text. Until then, shows the reason for the wait. */
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
  /** Label of the start button, for example "Start the race". */
  readonly begin: string;
  /** Label of the link to the result, and id of the result's heading. */
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

/** Estimated remaining time, from the steps since the page was opened or training was resumed. */
const useTimeLeft = (step: number, steps: number, running: boolean): string | undefined => {
  const since = useRef<{ readonly step: number; readonly at: number } | undefined>(undefined);
  if (!running || since.current === undefined || step < since.current.step)
    since.current = running ? { step, at: performance.now() } : undefined;
  const done = since.current === undefined ? 0 : step - since.current.step;
  // The first steps also wait for the first sample, so they give wrong estimates.
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
          {isDone ? end.label : running ? "Pause" : step === 0 ? begin : "Resume"}
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
        {left !== undefined && !isDone && `, ${left}`}.{running && !isDone && " Training continues while you read."}
        {step === 0 && !running && " The time left appears here when training runs."}
        {!running &&
          !isDone &&
          sessions[other.name].running.value &&
          ` ${other.called} is running. This training pauses when you start here.`}
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
          <p>This deletes the result of {count(step)} training steps.</p>
        </Dialog>
      )}
    </div>
  );
};
