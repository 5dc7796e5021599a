/** Evaluations of a sweep's runs: when they change, and how the list of runs agrees with them. */
import type { RunSummary } from "../../src/serve/studio/protocol.ts";
import { newestBest } from "../run/newest-best.ts";
import type { RunData } from "../run/run-data.ts";

/**
 * Changes after each evaluation of a run, and when the run begins anew. A run logs its step before the evaluation at
 * this step. So the version changes with the next step, or with the best loss, when the evaluation is certainly there.
 */
export const versionOf = ({ step, state, startedAt, best, config: { train } }: RunSummary): string =>
  [startedAt, Math.floor((step - 1) / train.evalInterval), best?.step, state].join(" ");

/**
 * Runs whose best losses agree with their curves. The list of runs and the curves are read at different times. So the
 * best losses of runs that were read come from their curves.
 */
export const agreeing = (runs: readonly RunSummary[], data: ReadonlyMap<string, RunData>): readonly RunSummary[] =>
  runs.map((run) => {
    const read = data.get(run.name);
    return read === undefined ? run : { ...run, best: newestBest(null, read) ?? run.best };
  });
