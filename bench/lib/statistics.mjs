/** Medians, and tables as text and as Markdown. */

/** @param {readonly number[]} numbers */
export const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/**
 * The 95 % interval of a median. The interval begins and ends at two of the sorted numbers. For any distribution, the
 * true median is below the interval with a probability of at most 2.5 %. The probability above the interval has the
 * same limit. With fewer than six numbers the interval is the whole range.
 * @param {readonly number[]} numbers
 */
export const medianInterval = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const count = sorted.length;
  let outside = 0;
  // The probability that at most `outside` of `count` fair coins show heads.
  let term = 0.5 ** count;
  for (let sum = term; sum <= 0.025; sum += term) {
    outside++;
    term *= (count - outside + 1) / outside;
  }
  const first = Math.max(0, outside - 1);
  return [sorted[first], sorted[count - 1 - first]];
};

/** Three significant digits: 0.123, 1.23, 12.3, 123, 1,234. */
export const digits = (value) =>
  !Number.isFinite(value)
    ? "–"
    : Math.abs(value) >= 99.95
      ? Math.round(value).toLocaleString("en-US")
      : value.toFixed(Math.abs(value) >= 9.995 ? 1 : Math.abs(value) >= 0.9995 ? 2 : 3);

export const count = (value) => Math.round(value).toLocaleString("en-US");
export const percent = (share) => (Number.isFinite(share) ? `${Math.round(100 * share)}%` : "–");
export const ratio = (value) => (Number.isFinite(value) ? `${value.toFixed(2)}×` : "–");
/** The median of the ratios of all rounds, and their range if they differ: 1.80× (1.71–1.88). */
export const ratioAndRange = (ratios) => {
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)].map((one) => one.toFixed(2));
  return least === most || !ratios.every(Number.isFinite)
    ? ratio(median(ratios))
    : `${ratio(median(ratios))} (${least}–${most})`;
};
export const mebibytes = (bytes) => (bytes === undefined ? "–" : `${count(bytes / 2 ** 20)} MiB`);

/**
 * A table for a terminal. The first column is aligned left, and all other columns are aligned right.
 * @param {readonly (readonly string[])[]} rows the first row holds the titles.
 */
export const textTable = (rows) => {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  const line = (row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join("  ")
      .trimEnd();
  return rows.map((row) => `${line(row)}\n`).join("");
};

/**
 * A table in Markdown.
 * @param {readonly (readonly string[])[]} rows the first row holds the titles.
 */
export const markdownTable = (rows) => {
  const line = (cells) => `| ${cells.join(" | ")} |\n`;
  const [titles, ...body] = rows;
  return line(titles) + line(titles.map((_, i) => (i === 0 ? "---" : "---:"))) + body.map(line).join("");
};
