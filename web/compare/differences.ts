import type { RunSummary } from "../../src/serve/studio/protocol.ts";
import { count, flatten } from "../parts/format.ts";

export interface Difference {
  readonly path: string;
  /** Value of each run. The value is "–" if the run does not have this field. */
  readonly values: readonly string[];
}

const yesOrNo: Readonly<Record<string, string>> = { true: "yes", false: "no" };

/**
 * Formats a value of a configuration. Large numbers have thousands separators, but seeds do not. Fractions have six
 * digits: a model of another program may have rounded the same number to float32. Booleans are "yes" or "no".
 */
const shownValue = (path: string, value: string): string => {
  if (/^-?\d*\.\d+(?:e-?\d+)?$|^-?\d+e-\d+$/u.test(value)) return String(Number(Number(value).toPrecision(6)));
  return yesOrNo[value] ?? (/^\d{4,}$/u.test(value) && !/seed$/iu.test(path) ? count(Number(value)) : value);
};

const fieldsOf = (run: RunSummary): ReadonlyMap<string, string> =>
  new Map([
    ["text", run.corpus],
    ["text SHA-256", run.corpusSha256.slice(0, 12)],
    ["begins with", run.initFrom ?? "–"],
    ...flatten(run.config).map(({ path, value }) => [path, shownValue(path, value)] as const),
    // A configuration has this size only for some kinds of tokenizer, and the text may give fewer tokens.
    ...(run.vocabSize === null ? [] : [["tokenizer.vocabSize", count(run.vocabSize)] as const]),
  ]);

/** Fields with values that differ between runs, in the order of the configuration. */
export const differences = (runs: readonly RunSummary[]): readonly Difference[] => {
  const all = runs.map(fieldsOf);
  const paths = [...new Set(all.flatMap((fields) => [...fields.keys()]))];
  return paths
    .map((path) => ({ path, values: all.map((fields) => fields.get(path) ?? "–") }))
    .filter(({ values }) => new Set(values).size > 1);
};

type Described = Pick<RunSummary, "corpusSha256" | "config" | "vocabSize">;

const hasSeveral = (runs: readonly Described[], of: (run: Described) => string): boolean =>
  new Set(runs.map(of)).size > 1;

const differInTokenizer = (runs: readonly Described[]): boolean =>
  // The vocabulary size is unknown before the first step. A loss is unknown then, too.
  hasSeveral(
    runs.filter(({ vocabSize }) => vocabSize !== null),
    ({ config, vocabSize }) => `${config.tokenizer.kind} ${vocabSize}`,
  );

export const measures = [
  { value: "valLoss", label: "Validation", title: "Validation loss", unit: "nats per token" },
  { value: "natsPerCharacter", label: "Nats per character", title: "Validation loss", unit: "nats per character" },
  { value: "bitsPerByte", label: "Bits per byte", title: "Validation loss", unit: "bits per byte" },
  { value: "loss", label: "Training", title: "Training loss", unit: "nats per token" },
] as const;
export type Measure = (typeof measures)[number];

/** Measure that the user has chosen. By default, a measure that is comparable between the runs. */
export const measureOf = (chosen: string | null, runs: readonly Described[]): Measure => {
  const found = measures.find(({ value }) => value === chosen);
  return found ?? measures[differInTokenizer(runs) ? 2 : 0];
};

/** Best evaluation of a run in a measure. For training loss, this is the validation loss. */
export const bestIn = (
  { value, unit }: Measure,
  best: RunSummary["best"],
): { readonly value: number | undefined; readonly unit: string } => ({
  value: best?.[value === "loss" ? "valLoss" : value],
  unit: value === "loss" ? `${unit}, validation` : unit,
});

/** Says why values in a unit are not comparable between the runs. Undefined if the values are comparable. */
export const incomparable = (runs: readonly Described[], unit: string): string | undefined => {
  if (hasSeveral(runs, ({ corpusSha256 }) => corpusSha256))
    return "These runs learn different texts: do not compare their losses.";
  if (unit !== "nats per token" || !differInTokenizer(runs)) return undefined;
  return "These runs have different tokenizers: compare losses per character or per byte, not per token.";
};
