/** The table of `compare`. */
import type { SettingDifference } from "../../../evaluate/compare-runs.ts";
import { formatPlural } from "./format.ts";
import { columns, padLeft, padRight, wrapText } from "./width.ts";

/** A setting as it was measured. */
export interface SettingRow {
  readonly name: string;
  /** Number of its runs. */
  readonly runs: number;
  /** Mean over the runs. */
  readonly natsPerToken: number;
  /** To the first setting; null: it is the first. */
  readonly difference: SettingDifference | null;
}

const signed = (value: number): string => `${value > 0 ? "+" : ""}${value.toFixed(4)}`;

/** A p-value in three decimals. */
export const formatPValue = (value: number): string => (value < 0.001 ? "<0.001" : value.toFixed(3));

const level = 0.05;

const verdictOf = ({ natsPerToken, adjustedPValue, seedsToSettle, runs, seedDeviation }: SettingDifference): string => {
  if (adjustedPValue === null) return "text too short";
  if (adjustedPValue < level) return natsPerToken < 0 ? "better" : "worse";
  if (seedDeviation === null || natsPerToken === 0) return "no difference found";
  if (seedsToSettle === null) return "no difference found; 100 seeds would not settle it";
  return seedsToSettle <= Math.min(...runs)
    ? "no difference found"
    : `no difference found; about ${seedsToSettle} seeds would settle it`;
};

/** What the interval is for, by what it is made of. */
const intervalText = (differences: readonly SettingDifference[]): string => {
  const [first] = differences;
  if (first === undefined) return "";
  const { windows, blocks } = first;
  const short =
    blocks < 8
      ? `; ${formatPlural(windows, "window")} are too few to tell how much another text would differ, 8 are needed`
      : "";
  if (differences.every(({ seedDeviation }) => seedDeviation === null))
    return blocks < 8
      ? `The text is too short for an interval: ${formatPlural(windows, "window")}, and 8 are needed; more text, or a smaller --context-length.`
      : `± is half of the 95% interval of the difference of these models on more of such a text, from ${formatPlural(windows, "window")} in ${blocks} blocks. It says nothing of other seeds: name several runs of each setting.`;
  const [paired, others] = [true, false].map((kind) => differences.some((one) => one.paired === kind));
  const how =
    paired && others
      ? "where they have the same seeds, paired by them"
      : paired
        ? "paired by their seeds"
        : "not paired, since they have other seeds";
  return `± is half of the 95% interval of the difference, for other seeds and more of such a text. Runs are ${how}${short}.`;
};

/** @param width columns of the terminal; infinite in a pipe. */
export const comparisonTable = (rows: readonly SettingRow[], measured: string, width: number): string => {
  const differences = rows.flatMap(({ difference }) => difference ?? []);
  const many = differences.length > 1;
  const corrected = differences.filter(({ adjustedPValue }) => adjustedPValue !== null).length;
  const cells = rows.map(({ name, runs, natsPerToken, difference }) => [
    name,
    String(runs),
    natsPerToken.toFixed(4),
    difference === null
      ? ""
      : `${signed(difference.natsPerToken)}${difference.halfWidth95 === null ? "" : ` ± ${difference.halfWidth95.natsPerToken.toFixed(4)}`}`,
    difference === null || difference.adjustedPValue === null ? "" : formatPValue(difference.adjustedPValue),
    difference === null ? "" : verdictOf(difference),
  ]);
  const titles = ["setting", "runs", "nats/token", "to the first", many ? "p (Holm)" : "p", ""];
  const all = [titles, ...cells];
  const widths = titles.map((_, i) => Math.max(...all.map((row) => columns(row[i] ?? ""))));
  // Of a verdict that does not fit, the rest is below.
  const before = widths.slice(0, 5).reduce((sum, one) => sum + one + 2, 0);
  const beside = width - before >= 24;
  const lines = all.flatMap((row) => {
    const verdict = row[5] ?? "";
    const start = row
      .slice(0, 5)
      .map((cell, i) => (i === 0 || i === 3 ? padRight(cell, widths[i] ?? 0) : padLeft(cell, widths[i] ?? 0)))
      .join("  ");
    if (!beside)
      return [start.trimEnd(), ...(verdict === "" ? [] : wrapText(verdict, width - 4).map((line) => `    ${line}`))];
    const [first = "", ...rest] = verdict === "" ? [] : wrapText(verdict, width - before);
    return [`${start}  ${first}`.trimEnd(), ...rest.map((line) => `${" ".repeat(before)}${line}`)];
  });
  return [
    ...lines,
    "",
    ...wrapText(`Measured on ${measured}.`, width),
    ...wrapText(intervalText(differences), width),
    ...(corrected > 1
      ? wrapText(
          `± is of each pair alone; p is corrected for ${corrected} comparisons. So an interval without 0 can have a p above 0.05.`,
          width,
        )
      : []),
    "",
  ].join("\n");
};
