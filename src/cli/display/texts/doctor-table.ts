import type { CheckResult, CheckStatus } from "../../../doctor/check.ts";
import { type DoctorReport, titleOf } from "../../../doctor/examine.node.ts";
import { printableName, type Style } from "../../process/terminal.ts";
import { formatDuration, formatPlural } from "./format.ts";
import { columns, padRight, wrapText } from "./width.ts";

/** Columns for the name and the status. If a name is longer, the text after it moves to the right. */
const nameWidth = 21;
const statusWidth = 8;
/** In a terminal with fewer columns, the fact is on a line below the name. */
const narrow = 60;
const indent = "  ";

const paint = ({ colors }: Style, status: CheckStatus): ((text: string) => string) =>
  ({ ok: colors.green, warning: colors.yellow, failed: colors.red, skipped: colors.dim })[status];

/**
 * The lines of a check, with the advice below.
 * @param width columns of the terminal; infinite in a pipe. In a pipe, a check is one line.
 */
export const checkLines = (result: CheckResult, width: number, style: Style): string[] => {
  const { status, advice } = result;
  const { unicode, arrow } = style.symbols;
  const [title, fact] = [titleOf(result), result.fact].map((text) => printableName(text, unicode));
  const color = paint(style, status);
  const todo = advice === null ? "" : printableName(advice, unicode);
  const head = `${padRight(title ?? "", nameWidth - 1)} `;
  const word = `${color(status)}${" ".repeat(statusWidth - status.length)}`;
  if (width === Number.POSITIVE_INFINITY) return [`${head}${word}${fact}${todo === "" ? "" : ` ${arrow} ${todo}`}`];
  const isNarrow = width < narrow;
  const before = isNarrow ? indent : " ".repeat(columns(head) + statusWidth);
  const room = Math.max(1, width - before.length);
  const facts = wrapText(fact ?? "", room);
  const todos = todo === "" ? [] : wrapText(todo, Math.max(1, room - arrow.length - 1));
  const below = [
    ...facts.slice(isNarrow ? 0 : 1),
    ...todos.map((line, i) => (i === 0 ? `${color(arrow)} ${line}` : `${" ".repeat(arrow.length + 1)}${line}`)),
  ];
  return [`${head}${word}${isNarrow ? "" : (facts[0] ?? "")}`.trimEnd(), ...below.map((line) => `${before}${line}`)];
};

/** The last line, below the table. */
export const summaryLine = ({ checks, seconds }: DoctorReport, style: Style): string => {
  const countOf = (status: CheckStatus): number => checks.filter((one) => one.status === status).length;
  const [bad, warned] = [countOf("failed"), countOf("warning")];
  const many = `${formatPlural(checks.length, "check")} in ${formatDuration(seconds)}`;
  const warnings = warned === 0 ? "" : `, ${formatPlural(warned, "warning")}`;
  if (bad > 0) return style.colors.red(`${many}: ${bad} failed${warnings}`);
  return `${many}: none failed${warnings}`;
};
