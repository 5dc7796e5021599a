/** Notes that explain the curves of a run. The notes are shown below the chart and are part of saved files. */
import { count } from "../parts/format.ts";
import type { RunData } from "./run-data.ts";

/** Says which steps are missing from the curves. Undefined if no steps are missing. */
export const thinnedNote = (data: RunData | undefined): string | undefined => {
  if (data?.isThinned !== true) return undefined;
  const last = data.steps.column("step")[data.steps.length - 1] ?? 0;
  const shown = `${count(data.steps.length)} of ${count(last)} steps`;
  return `${shown} are shown: the last 1,000 steps, and a minimum and a maximum for each part of the earlier steps.`;
};
