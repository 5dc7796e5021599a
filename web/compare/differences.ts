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

/** Why values in a unit do not compare between the runs; undefined: they do. */
export const incomparable = (
  runs: readonly Pick<RunSummary, "corpusSha256" | "config" | "vocabSize">[],
  unit: string,
): string | undefined => {
  const kinds = (of: (run: (typeof runs)[number]) => string): number => new Set(runs.map(of)).size;
  if (kinds(({ corpusSha256 }) => corpusSha256) > 1)
    return "These runs learn different texts: their losses do not compare.";
  // The number of tokens is not known before the first step: there is no loss either.
  const known = runs.filter(({ vocabSize }) => vocabSize !== null);
  const tokenizers = new Set(known.map(({ config, vocabSize }) => `${config.tokenizer.kind} ${vocabSize}`));
  if (unit !== "nats per token" || tokenizers.size <= 1) return undefined;
  return "These runs have different tokenizers: their losses per token do not compare; those per character and per byte do.";
};
