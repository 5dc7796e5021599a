import type { RunSummary } from "../../src/serve/studio/protocol.ts";
import { flatten } from "../parts/format.ts";

export interface Difference {
  readonly path: string;
  /** One for each run, "–" where it has no such field. */
  readonly values: readonly string[];
}

const fieldsOf = (run: RunSummary): ReadonlyMap<string, string> =>
  new Map([
    ["text", run.corpus],
    ["text SHA-256", run.corpusSha256.slice(0, 12)],
    ["begins with", run.initFrom ?? "–"],
    ...flatten(run.config).map(({ path, value }) => [path, value] as const),
  ]);

/** Fields whose values are not the same in all runs, in the order of the configuration. */
export const differences = (runs: readonly RunSummary[]): readonly Difference[] => {
  const all = runs.map(fieldsOf);
  const paths = [...new Set(all.flatMap((fields) => [...fields.keys()]))];
  return paths
    .map((path) => ({ path, values: all.map((fields) => fields.get(path) ?? "–") }))
    .filter(({ values }) => new Set(values).size > 1);
};
