/** A run as the page follows it: its series once, then its events from where the series ends. */
import { batch, type ReadonlySignal, signal } from "@preact/signals";
import type { TrainEvent } from "../../src/runs/events.ts";
import type { Failure, RunListAnswer, RunSeries, RunSummary } from "../../src/serve/studio/protocol.ts";
import { isLive } from "../parts/state-words.ts";
import { followEvents, type ServerEvent } from "../server/event-stream.ts";
import { api, getJson, runPath } from "../server/request.ts";
import { createRunData, type RunData } from "./run-data.ts";
import { createEvalClock } from "./time-left.ts";

export interface RunFeed {
  readonly summary: ReadonlySignal<RunSummary | undefined>;
  readonly data: ReadonlySignal<RunData | undefined>;
  /** Rises, at most once a frame, when `data` has got more. */
  readonly version: ReadonlySignal<number>;
  readonly failure: ReadonlySignal<string | undefined>;
  /** Seconds of an evaluation and the step after it; undefined before one was seen. */
  readonly evalSeconds: () => number | undefined;
  readonly close: () => void;
}

/** `untilEnded`: a run that has ended already is read once, since each stream takes one of six connections. */
export const followRun = (name: string, untilEnded = false): RunFeed => {
  const controller = new AbortController();
  const { signal: abort } = controller;
  const summary = signal<RunSummary | undefined>(undefined);
  const data = signal<RunData | undefined>(undefined);
  const version = signal(0);
  const failure = signal<string | undefined>(undefined);
  const clock = createEvalClock();
  let offset = 0;
  let frame = 0;
  /** While the series is read anew, events belong to it. */
  let reading: Promise<void> | undefined;

  const changed = () => {
    if (frame !== 0) return;
    frame = requestAnimationFrame(() => {
      frame = 0;
      version.value++;
    });
  };

  const readSeries = async (): Promise<void> => {
    const answer = await getJson<RunSeries>(`${runPath(name)}/series`, abort);
    if (answer.kind === "failed") {
      failure.value = answer.failure.error;
      // A run that has just begun may have no notes yet, a server that is started again is there soon.
      if (answer.status === 0) await new Promise((resolve) => setTimeout(resolve, 1000));
      return;
    }
    offset = answer.value.offset;
    batch(() => {
      failure.value = undefined;
      data.value = createRunData(answer.value);
      version.value++;
    });
  };

  const readAgain = (): void => {
    reading = readSeries();
    stream.abort();
  };

  const onEvent = ({ name: kind, data: text, id }: ServerEvent) => {
    failure.value = kind === "failed" ? (JSON.parse(text) as Failure).error : undefined;
    if (kind === "summary") summary.value = JSON.parse(text) as RunSummary;
    else if (kind === "reset") {
      // The notes were cut or replaced: what came after belongs to another beginning.
      readAgain();
    } else if (kind === "run") {
      const event = JSON.parse(text) as TrainEvent;
      data.value?.take(event);
      clock.take(event, performance.now() / 1000);
      if (id !== "") offset = Number(id);
      changed();
      if (data.value !== undefined && data.value.steps.length > 2 * data.value.mostSteps) readAgain();
    }
  };

  let stream = new AbortController();
  const follow = async (): Promise<void> => {
    const list = await getJson<RunListAnswer>(`${api}/runs`, abort);
    if (list.kind === "ok") summary.value ??= list.value.runs.find((run) => run.name === name);
    reading = readSeries();
    while (!abort.aborted) {
      await reading;
      if (data.value === undefined && failure.value !== undefined && list.kind === "ok" && summary.value === undefined)
        return;
      if (data.value === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 500));
        reading = readSeries();
        continue;
      }
      if (untilEnded && summary.value !== undefined && !isLive(summary.value)) return;
      stream = new AbortController();
      const own = stream;
      abort.addEventListener("abort", () => own.abort());
      await followEvents(
        {
          address: () => `${runPath(name)}/events?after=${offset}`,
          onEvent,
          onRefused: (error) => {
            failure.value = error;
          },
        },
        own.signal,
      );
      if (!own.signal.aborted) return;
    }
  };
  // Aborted requests end it.
  void follow().catch(() => undefined);

  return {
    summary,
    data,
    version,
    failure,
    evalSeconds: clock.seconds,
    close() {
      controller.abort();
      cancelAnimationFrame(frame);
    },
  };
};
