/** What a reader of a run's curves must know: below the chart, and in its files. */
import { count } from "../parts/format.ts";
import type { RunData } from "./run-data.ts";

/** What is missing from the curves; undefined: nothing is. */
export const thinnedNote = (data: RunData | undefined): string | undefined => {
  if (data?.isThinned !== true) return undefined;
  const last = data.steps.column("step")[data.steps.length - 1] ?? 0;
  const shown = `${count(data.steps.length)} of ${count(last)} steps`;
  return `${shown} are here: the last 1,000, and before them the lowest and the highest of equal parts.`;
};

/** What is said of an evaluation that was made because the run was stopped; undefined: the last one was not. */
export const stopNote = (data: RunData | undefined): string | undefined => {
  const { evals } = data ?? {};
  if (evals === undefined || evals.column("atStop")[evals.length - 1] !== 1) return undefined;
  const made = `The evaluation at step ${count(evals.column("step")[evals.length - 1] ?? 0)} was made because the run was stopped`;
  const counts = evals.length > 1 ? "it does not count as the best one, and goes" : "it goes";
  return `${made}: ${counts} when the run is resumed.`;
};
