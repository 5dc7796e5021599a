/** The table of `compare`. */
import type { SettingDifference } from "../../../evaluate/compare-runs.ts";
import { formatPlural } from "./format.ts";
import { columns, padLeft, padRight, wrapText } from "./width.ts";

/** A measured setting. */
export interface SettingRow {
  readonly name: string;
  /** Number of runs. */
  readonly runs: number;
  /** Mean over the runs. */
  readonly natsPerToken: number;
  /** Difference from the first setting; null for the first setting. */
  readonly difference: SettingDifference | null;
}

const signed = (value: number): string => `${value > 0 ? "+" : ""}${value.toFixed(4)}`;

/** Formats a p-value with three decimals. */
export const formatPValue = (value: number): string => (value < 0.001 ? "<0.001" : value.toFixed(3));

const level = 0.05;

const verdictOf = ({ natsPerToken, adjustedPValue, seedsToSettle, runs, seedDeviation }: SettingDifference): string => {
  if (adjustedPValue === null) return "text too short";
  if (adjustedPValue < level) return natsPerToken < 0 ? "better" : "worse";
  if (seedDeviation === null || natsPerToken === 0) return "no difference found";
  if (seedsToSettle === null) return "no difference found; even 100 seeds would not be enough to find one";
  return seedsToSettle <= Math.min(...runs)
    ? "no difference found"
    : `no difference found; about ${seedsToSettle} seeds per setting would be enough to decide`;
};

/** Why there is no confidence interval. */
export const noInterval = (windows: number): string =>
  `The text is too short for a confidence interval: it has ${formatPlural(windows, "window")}, but 8 windows are needed. Use more text, or a smaller --context-length.`;

/** Tells which uncertainty the interval covers. */
const intervalText = (differences: readonly SettingDifference[]): string => {
  const [first] = differences;
  if (first === undefined) return "";
  const { windows, blocks } = first;
  const short =
    blocks < 8
      ? `; ${formatPlural(windows, "window")} are too few to estimate the difference on another text; 8 windows are needed`
      : "";
  if (differences.every(({ seedDeviation }) => seedDeviation === null))
    return blocks < 8
      ? noInterval(windows)
      : `± gives the 95% confidence interval of the difference for these models and texts like this one. The interval was estimated from ${formatPlural(windows, "window")} in ${blocks} blocks. The interval does not cover the effect of seeds. To cover seeds, name several runs of each setting.`;
  const [paired, others] = [true, false].map((kind) => differences.some((one) => one.paired === kind));
  const how =
    paired && others
      ? "paired by seed where the seeds are the same"
      : paired
        ? "paired by seed"
        : "not paired, because their seeds differ";
  return `± gives the 95% confidence interval of the difference for other seeds and for texts like this one. Runs are ${how}${short}.`;
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
  const titles = ["setting", "runs", "nats/token", "difference", many ? "p (Holm)" : "p", ""];
  const all = [titles, ...cells];
  const widths = titles.map((_, i) => Math.max(...all.map((row) => columns(row[i] ?? ""))));
  // A verdict that is too long continues on the next lines.
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
          `± is for each comparison alone, but p is corrected for ${corrected} comparisons. So p can be above 0.05 although the interval does not contain 0.`,
          width,
        )
      : []),
    "",
  ].join("\n");
};
