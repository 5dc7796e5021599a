/** Follows a run: requests its series once, then its events from the end of the series. */
import { batch, computed, type ReadonlySignal, signal } from "@preact/signals";
import type { TrainEvent } from "../../src/runs/events.ts";
import type { Failure, RunListAnswer, RunSeries, RunSummary } from "../../src/serve/studio/protocol.ts";
import { isLive } from "../parts/state-words.ts";
import { followEvents, type ServerEvent } from "../server/event-stream.ts";
import { api, getJson, runPath } from "../server/request.ts";
import { newestBest } from "./newest-best.ts";
import { createRunData, type RunData } from "./run-data.ts";
import { createEvalClock } from "./time-left.ts";

export interface RunFeed {
  /** The best evaluation agrees with `data`. */
  readonly summary: ReadonlySignal<RunSummary | undefined>;
  readonly data: ReadonlySignal<RunData | undefined>;
  /** Increases when `data` has new values, at most once per frame. */
  readonly version: ReadonlySignal<number>;
  readonly failure: ReadonlySignal<string | undefined>;
  /** Seconds that an evaluation and the next step take. Undefined before the first evaluation. */
  readonly evalSeconds: () => number | undefined;
  readonly close: () => void;
}

/**
 * `untilEnded`: a run that has already ended is read only once. A browser allows only six connections to a server, and
 * each stream uses a connection.
 */
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
  /** Pending request for the series. New events wait for it. Undefined while there is no such request. */
  let reading: Promise<void> | undefined;

  /** A missing run is the usual failure: an old link, or a run that was renamed or deleted. */
  const failureText = (error: string, status: number): string =>
    status === 404 ? `There is no run named “${name}”.` : error;

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
      // A new run may have no metrics yet. A server that restarts will respond soon. A banner tells that the server does
      // not respond.
      if (answer.status === 0) await new Promise((resolve) => setTimeout(resolve, 1000));
      else failure.value = failureText(answer.failure.error, answer.status);
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
      // The run's metrics were truncated or replaced, so the values on the page are no longer valid.
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
          onRefused: (error, status) => {
            failure.value = failureText(error, status);
          },
        },
        own.signal,
      );
      if (!own.signal.aborted) return;
    }
  };
  // The feed ends when its requests are aborted.
  void follow().catch(() => undefined);

  let source: RunSummary | undefined;
  let shown: RunSummary | undefined;
  /** The object changes only if the summary or the best evaluation has changed. */
  const agreeing = computed(() => {
    void version.value;
    const run = summary.value;
    if (run === undefined || data.value === undefined) return run;
    const best = newestBest(run.best, data.value);
    if (best === run.best) return run;
    if (shown === undefined || source !== run || shown.best?.step !== best?.step) shown = { ...run, best };
    source = run;
    return shown;
  });

  return {
    summary: agreeing,
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
