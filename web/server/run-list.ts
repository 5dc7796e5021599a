/** List of runs, kept up to date while a view shows it. */
import { signal } from "@preact/signals";
import type { RunListAnswer, RunSummary } from "../../src/serve/studio/protocol.ts";
import { followEvents } from "./event-stream.ts";
import { api, getJson } from "./request.ts";

export const runs = signal<readonly RunSummary[] | undefined>(undefined);
export const skipped = signal<RunListAnswer["skipped"]>([]);
export const listError = signal<string | undefined>(undefined);

/** An unchanged row keeps its object. So a table with hundreds of rows renders only the changed rows. */
const takeList = (list: RunListAnswer): void => {
  const before = new Map((runs.value ?? []).map((run) => [run.name, { run, text: JSON.stringify(run) }]));
  runs.value = list.runs.map((run) => {
    const old = before.get(run.name);
    return old !== undefined && old.text === JSON.stringify(run) ? old.run : run;
  });
  skipped.value = list.skipped;
  listError.value = undefined;
};

export const loadRuns = async (): Promise<void> => {
  const answer = await getJson<RunListAnswer>(`${api}/runs`);
  if (answer.kind === "ok") takeList(answer.value);
  else listError.value = answer.failure.error;
};

/** Follows the list until the returned function is called. */
export const followRuns = (): (() => void) => {
  const controller = new AbortController();
  void loadRuns();
  void followEvents(
    {
      address: () => `${api}/events`,
      onEvent: ({ name, data }) => {
        if (name === "list") takeList(JSON.parse(data) as RunListAnswer);
      },
      onRefused: (error) => {
        listError.value = error;
      },
    },
    controller.signal,
  );
  return () => controller.abort();
};
