/** Evaluations of a sweep's runs. A run is read again after each of its evaluations. */
import { type ReadonlySignal, signal } from "@preact/signals";
import type { RunSeries, RunSummary } from "../../src/serve/studio/protocol.ts";
import { createRunData, type RunData } from "../run/run-data.ts";
import { getJson, runPath } from "../server/request.ts";
import { versionOf } from "./evaluations.ts";

/** The server sends at least this number of steps. Only evaluations are drawn, and the server sends all evaluations. */
const askedSteps = 1000;

export interface SweepCurves {
  /** Data of the runs that were read, by name. */
  readonly data: ReadonlySignal<ReadonlyMap<string, RunData>>;
  /** Reads these runs, one after the other, unless they have no new evaluation since they were read. */
  readonly want: (runs: readonly RunSummary[]) => void;
  readonly close: () => void;
}

export const createSweepCurves = (): SweepCurves => {
  const controller = new AbortController();
  const data = signal<ReadonlyMap<string, RunData>>(new Map());
  const read = new Map<string, string>();
  let wanted: readonly RunSummary[] = [];
  let isReading = false;
  const next = (): RunSummary | undefined => wanted.find((run) => read.get(run.name) !== versionOf(run));
  const readAll = async (): Promise<void> => {
    for (let run = next(); run !== undefined; run = next()) {
      const { name } = run;
      const answer = await getJson<RunSeries>(`${runPath(name)}/series?most=${askedSteps}`, controller.signal);
      // After a failure, the run is read again when the list has changed.
      read.set(name, versionOf(run));
      if (answer.kind === "ok") data.value = new Map(data.value).set(name, createRunData(answer.value));
    }
  };
  return {
    data,
    want(runs) {
      wanted = runs;
      if (isReading) return;
      isReading = true;
      void readAll()
        // The reading ends when its requests are aborted.
        .catch(() => undefined)
        .finally(() => {
          isReading = false;
        });
    },
    close: () => controller.abort(),
  };
};
