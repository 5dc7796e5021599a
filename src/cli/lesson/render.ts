import type { Piece, Text } from "../../lesson/piece.ts";
import { columns as columnsOf, padRight } from "../display/texts/width.ts";
import type { Style } from "../process/terminal.ts";
import { curveChart } from "./chart.ts";
import { fitText, widestWord, widthOf, wrapped } from "./text.ts";

type Of<K extends Piece["kind"]> = Extract<Piece, { kind: K }>;

/** Maximum width: longer lines of prose are hard to read. */
const widestProse = 96;
const indent = 2;
const gap = 2;
/** Maximum columns of a bar. The other columns are for names and numbers. */
const longestBar = 50;
const shortestBar = 8;

const indented = (lines: readonly string[], by = indent): string[] =>
  lines.map((line) => (line === "" ? "" : " ".repeat(by) + line).trimEnd());

const title = ({ part, text }: Of<"title">, width: number, style: Style): string[] => {
  const { symbols, colors } = style;
  const line = symbols.empty === "." ? "-" : symbols.empty;
  const heads = wrapped(`${line}${line} ${part.toUpperCase()} ${line}${line} ${text}`, width, style);
  const rest = width - columnsOf(heads.at(-1) ?? "") - 1;
  return heads.map((head, i) =>
    colors.bold(i === heads.length - 1 && rest > 0 ? `${head} ${line.repeat(rest)}` : head),
  );
};

/** Minimum width of a useful column. */
const narrowestColumn = 3;

/**
 * Chooses the width of each column from its contents. If the columns do not all fit, the widest columns become
 * narrower. Words are broken only if that is not enough.
 */
const tableWidths = ({ columns, rows }: Of<"table">, width: number, style: Style): number[] => {
  const measure = (i: number, of: (text: Text, style: Style) => number): number =>
    Math.max(0, ...rows.map((row) => of(row[i] ?? "", style)));
  const widths = columns.map(({ title: name }, i) => Math.max(widthOf(name, style), measure(i, widthOf)));
  const words = columns.map(({ title: name, cut }, i) =>
    Math.max(widestWord(name, style), cut === true ? 0 : measure(i, widestWord)),
  );
  const room = width - indent - gap * (columns.length - 1);
  for (const least of [words, columns.map(() => narrowestColumn)]) {
    for (let total = widths.reduce((a, b) => a + b, 0); total > room; total--) {
      const shrinkable = widths.map((wide, i) => (wide > Math.max(narrowestColumn, least[i] ?? 0) ? wide : 0));
      const widest = shrinkable.indexOf(Math.max(...shrinkable));
      if ((shrinkable[widest] ?? 0) === 0) break;
      widths[widest] = (widths[widest] ?? 0) - 1;
    }
  }
  return widths;
};

const table = (piece: Of<"table">, width: number, style: Style): string[] => {
  const { columns, rows } = piece;
  const widths = tableWidths(piece, width, style);
  /** One row of cells. The row has the number of lines of its tallest cell. */
  const linesOf = (cells: readonly Text[], mayCut = true): string[] => {
    const blocks = columns.map(({ align, cut }, i) => {
      const width = widths[i] ?? 0;
      return cut === true && mayCut
        ? [fitText(cells[i] ?? "", width, align, style)]
        : wrapped(cells[i] ?? "", width, style);
    });
    return Array.from({ length: Math.max(...blocks.map((block) => block.length)) }, (_, line) =>
      columns
        .map(({ align }, i) => {
          const part = blocks[i]?.[line] ?? "";
          const space = " ".repeat(Math.max(0, (widths[i] ?? 0) - columnsOf(part)));
          return align === "left" ? part + space : space + part;
        })
        .join(" ".repeat(gap)),
    );
  };
  const titles = columns.map(({ title: name }): Text => [{ text: name, emphasis: "muted" }]);
  const head = columns.some(({ title: name }) => name !== "") ? linesOf(titles, false) : [];
  return indented([...head, ...rows.flatMap((row) => linesOf(row))]);
};

/**
 * A bar that fills the fraction `share` of `full` columns. If the terminal can show eighths of a column, the length of
 * the bar is a multiple of an eighth.
 */
const bar = (share: number, full: number, { symbols }: Style): string => {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * full * 8);
  if (!symbols.unicode) return "#".repeat(share > 0 ? Math.max(1, Math.round(eighths / 8)) : 0);
  const part = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8] ?? "";
  const drawn = "█".repeat(Math.floor(eighths / 8)) + part;
  return drawn === "" && share > 0 ? "▏" : drawn;
};

const bars = ({ bars: all, maximum }: Of<"bars">, width: number, style: Style): string[] => {
  const longest = maximum ?? Math.max(...all.map(({ value }) => value));
  const shownWidth = Math.max(...all.map(({ shown }) => widthOf(shown, style)));
  const room = width - indent - 2 * gap - shownWidth;
  const labelWidth = Math.min(Math.max(...all.map(({ label }) => widthOf(label, style))), room - shortestBar);
  const full = Math.min(longestBar, room - labelWidth);
  if (labelWidth < 1 || full < 1) {
    return all.flatMap(({ label, shown }) => [
      ...indented(wrapped(label, width - indent, style)),
      ...indented([shown]),
    ]);
  }
  return indented(
    all.flatMap(({ label, value, shown, emphasis }) => {
      const drawn = bar(longest > 0 ? value / longest : 0, full, style);
      const inked = fitText(
        [emphasis === undefined ? { text: drawn } : { text: drawn, emphasis }],
        drawn.length,
        "left",
        style,
      );
      const ink = emphasis === undefined ? style.colors.cyan(inked) : inked;
      const [name = "", ...rest] = wrapped(label, labelWidth, style);
      const figure = fitText(shown, shownWidth, "right", style);
      return [`${padRight(name, labelWidth)}${" ".repeat(gap)}${figure}${" ".repeat(gap)}${ink}`, ...rest];
    }),
  );
};

/** Rows of aligned cells. A row contains the cells that fit, followed by an ellipsis. */
const aligned = ({ rows }: Of<"aligned">, width: number, style: Style): string[] => {
  const nameWidth = Math.max(...rows.map(({ name }) => widthOf(name, style)));
  const cellWidth = Math.max(...rows.flatMap(({ cells }) => cells.map((cell) => widthOf(cell, style))));
  const count = Math.max(...rows.map(({ cells }) => cells.length));
  const room = width - indent - nameWidth - gap;
  const whole = Math.floor((room + 1) / (cellWidth + 1));
  const fits = count <= whole;
  const shown = fits ? count : Math.max(1, Math.floor((room - widthOf("…", style)) / (cellWidth + 1)));
  return indented(
    rows.map(({ name, cells }) => {
      const line = cells.slice(0, shown).map((cell) => fitText(cell, cellWidth, "right", style));
      if (!fits) line.push(fitText("…", widthOf("…", style), "left", style));
      return `${fitText([{ text: name, emphasis: "muted" }], nameWidth, "left", style)}${" ".repeat(gap)}${line.join(" ")}`;
    }),
  );
};

/** Maximum cells of a strip. */
const longestStrip = 40;

/** Shows shares as a strip of cells of equal width. Each cell shows the share that contains the middle of the cell. */
const strip = ({ shares, at, shown }: Of<"strip">, width: number, style: Style): string[] => {
  const cellsOf = (count: number): readonly string[] =>
    Array.from({ length: count }, (_, i) => {
      const found = shares.find(({ to }) => (i + 0.5) / count < to) ?? shares.at(-1);
      return found?.text ?? "";
    });
  const cellWidth = Math.max(1, ...cellsOf(longestStrip).map((cell) => widthOf(cell, style)));
  const room = width - 2 * indent;
  const count = Math.max(1, Math.min(longestStrip, Math.floor(room / cellWidth)));
  const place = Math.min(count - 1, Math.floor(at * count));
  const column = place * cellWidth;
  const pointer = place < count / 2 ? `${" ".repeat(column)}▲ ${shown}` : `${shown} ▲`.padStart(column + 1);
  const bar = cellsOf(count).map((cell) => fitText(cell, cellWidth, "left", style));
  return indented(
    [bar.join(""), ...wrapped([{ text: pointer, emphasis: "good" }], Math.max(room, column + 1), style)],
    2 * indent,
  );
};

const sideBySide = ({ columns }: Of<"columns">, width: number, style: Style): string[] => {
  const each = Math.floor((width - indent - 3 * (columns.length - 1)) / Math.max(1, columns.length));
  const head = (name: string): string => style.colors.bold(name);
  if (each < 24) {
    return columns.flatMap(({ title: name, text }, i) => [
      ...(i === 0 ? [] : [""]),
      ...indented(wrapped(name, width - indent, style).map(head)),
      ...indented(wrapped(text, width - indent, style)),
    ]);
  }
  const rule = ` ${style.colors.dim(style.symbols.rule)} `;
  const beside = (blocks: readonly (readonly string[])[], ink: (line: string) => string): string[] =>
    Array.from({ length: Math.max(...blocks.map((block) => block.length)) }, (_, row) =>
      blocks.map((block) => ink(padRight(block[row] ?? "", each))).join(rule),
    );
  return indented([
    ...beside(
      columns.map(({ title: name }) => wrapped(name, each, style)),
      head,
    ),
    ...beside(
      columns.map(({ text }) => wrapped(text, each, style)),
      (line) => line,
    ),
  ]);
};

/** Formats a piece as lines of at most `width` columns, without a blank line at the top. A pause has no lines. */
export const renderPiece = (piece: Piece, width: number, style: Style): string[] => {
  switch (piece.kind) {
    case "title":
      return title(piece, width, style);
    case "heading":
      return wrapped([{ text: piece.text, emphasis: "strong" }], width, style);
    case "prose":
      return wrapped(piece.text, Math.min(width, widestProse), style);
    case "lines":
      return indented(
        piece.lines.flatMap((line) => wrapped(line, width - 2 * indent, style)),
        2 * indent,
      );
    case "table":
      return table(piece, width, style);
    case "bars":
      return bars(piece, width, style);
    case "aligned":
      return aligned(piece, width, style);
    case "strip":
      return strip(piece, width, style);
    case "columns":
      return sideBySide(piece, width, style);
    case "curves":
      return indented(curveChart(piece, width - indent, style));
    case "pause":
      return [];
    default:
      return piece satisfies never;
  }
};
