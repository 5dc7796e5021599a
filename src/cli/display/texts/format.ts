/** Formats numbers, sizes and times for people. */
import { columns, wrapText } from "./width.ts";

export { formatBytes } from "../../../core/text/format-bytes.ts";
export { formatCount, formatDuration, formatPlural, formatSeconds } from "../../../core/text/format-numbers.ts";

/** Short count, such as 980, 421k, 1.2M or 124M. */
export const formatShort = (count: number): string => {
  const units = ["", "k", "M", "G", "T"];
  let value = count;
  let unit = 0;
  while (unit < units.length - 1 && Number(value.toPrecision(3)) >= 1000) {
    value /= 1000;
    unit++;
  }
  return unit === 0
    ? String(Math.round(value))
    : `${value < 9.95 ? value.toFixed(1) : Math.round(value)}${units[unit]}`;
};

/** Formats a loss in nats or bits with four digits. */
export const formatLoss = (loss: number): string => loss.toFixed(loss < 10 ? 3 : 2);

/** As 3.00e-4. A schedule may end at exactly 0. */
export const formatRate = (rate: number): string => (rate === 0 ? "0" : rate.toExponential(2));

/**
 * Joins `parts` with `separator` into lines of at most `width` columns. Later lines begin with `indent`. A part that is
 * wider than a line is broken at its spaces.
 */
export const flow = (parts: readonly string[], separator: string, width: number, indent = ""): string[] => {
  const lines: string[] = [];
  let line = "";
  for (const part of parts) {
    if (line !== "" && columns(line) + columns(separator) + columns(part) <= width) {
      line += separator + part;
      continue;
    }
    if (line !== "") lines.push(line);
    const [first = "", ...rest] = wrapText(part, Math.max(1, width - columns(indent)));
    const pieces = [lines.length === 0 ? first : indent + first, ...rest.map((piece) => indent + piece)];
    lines.push(...pieces.slice(0, -1));
    line = pieces.at(-1) ?? "";
  }
  if (line !== "") lines.push(line);
  return lines;
};
